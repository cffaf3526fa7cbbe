// zeroth sft: the loop over a data set's solutions.
#pragma once

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "rl/config.h"
#include "rl/training_run.h"

namespace zeroth {

/// Trains from `config.model_name_or_path`, or resumes, with the other ranks. InputError naming the
/// problem when no solution fits into max_length, or a problem has none. A sequence that is too
/// long is left out; how many is noted.
RunResult train_sft(const Context& context, Collectives& ranks, const SftConfig& config,
                    const std::vector<Problem>& problems, const PromptTemplate& prompt_template,
                    TrainingHooks hooks);

}  // namespace zeroth
