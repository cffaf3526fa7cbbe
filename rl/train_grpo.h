// zeroth grpo: the loop of steps, with evaluations, completions and checkpoints.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "policy/packed_policy.h"
#include "policy/prompt_template.h"
#include "rewards/weighted_sum.h"
#include "rl/config.h"
#include "rl/evaluate.h"
#include "rl/training_run.h"
#include "rollout/engine.h"

namespace zeroth {

/// What an engine that samples elsewhere has to know of the run.
struct SamplingRun {
  const PackedPolicy& policy;
  std::string key;       // hash of the run's settings
  std::string numerics;  // rollout_numerics()
  std::function<void(const std::string&)> note;
  /// Throws StoppedWaiting when the run is asked to stop; for an engine that waits.
  std::function<void()> check_stop;
};

/// Ends a run where it stands: at the last finished step.
struct StoppedWaiting : std::exception {
  const char* what() const noexcept override { return "asked to stop while waiting"; }
};

/// A reward failed where that stops a run. The last finished step is saved.
class StoppedByReward : public std::runtime_error {
 public:
  StoppedByReward(const RewardError& error, const RunResult& result);
};

struct GrpoInputs {
  const std::vector<Problem>& problems;
  const std::vector<Problem>& eval_problems;  // may be empty
  const PromptTemplate& prompt_template;
  const WeightedRewards& rewards;
  const Reward& right;  // what counts as right in an evaluation
  /// Called with an evaluation's step and result (step 0: before training); may end the run by
  /// returning false. Every rank has the same result.
  std::function<bool(std::int64_t step, const Evaluation& evaluation)> on_evaluation;
  /// Makes the engine that samples; empty: this process does.
  std::function<std::unique_ptr<Engine>(SamplingRun)> make_engine = {};
};

/// Trains from `config.model_name_or_path`, or resumes, together with the other ranks. InputError
/// when a prompt and max_completion_length do not fit into the model's positions, StoppedByReward
/// on every rank when a reward failed on any.
RunResult train_grpo(const Context& context, Collectives& ranks, const GrpoConfig& config,
                     const GrpoInputs& inputs, TrainingHooks hooks);

}  // namespace zeroth
