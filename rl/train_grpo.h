// zeroth grpo: the loop of steps, with evaluations, completions and checkpoints.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "rewards/weighted_sum.h"
#include "rl/config.h"
#include "rl/evaluate.h"
#include "rl/training_run.h"

namespace zeroth {

struct GrpoInputs {
  const std::vector<Problem>& problems;
  const std::vector<Problem>& eval_problems;  // may be empty
  const PromptTemplate& prompt_template;
  const WeightedRewards& rewards;
  const Reward& right;  // what counts as right in an evaluation
  /// Called with an evaluation's step and result (step 0: before training); may end the run by
  /// returning false.
  std::function<bool(std::int64_t step, const Evaluation& evaluation)> on_evaluation;
};

/// Trains from `config.model_name_or_path`, or resumes. InputError when a prompt and
/// max_completion_length do not fit into the model's positions.
RunResult train_grpo(const Context& context, const GrpoConfig& config, const GrpoInputs& inputs,
                     TrainingHooks hooks);

}  // namespace zeroth
