// zeroth sft: the loop over a data set's solutions; and the loop over examples itself.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "rl/config.h"
#include "rl/learner.h"
#include "rl/training_run.h"

namespace zeroth {

/// Trains from `config.model_name_or_path`, or resumes, with the other ranks. InputError naming the
/// problem when no solution fits into max_length, or a problem has none. A sequence that is too
/// long is left out; how many is noted.
RunResult train_sft(const Context& context, Collectives& ranks, const SftConfig& config,
                    const std::vector<Problem>& problems, const PromptTemplate& prompt_template,
                    TrainingHooks hooks);

/// What the loop trains on.
struct ExamplesToTrain {
  std::string command;   // whose run it is
  RunSettings settings;  // beside the configuration's: what the examples are a function of
  /// Called when the run is open; at least one example.
  std::function<std::vector<TrainingGroup>(const TrainingRun&)> make;
  const PackedPolicy* teacher = nullptr;  // SftTrainer::Config
  double kd_weight = 0.0;
};

/// Trains `policy`, or resumes it, as `config` says: a batch is the next examples of an order that
/// the seed chooses anew every epoch.
RunResult train_examples(const Context& context, Collectives& ranks, const SftConfig& config,
                         const ExamplesToTrain& inputs, TrainedPolicy& policy, TrainingHooks hooks);

}  // namespace zeroth
