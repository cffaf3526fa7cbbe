// How often a policy is right: pass@1 with its interval, greedy, maj@n, pass@n, format rate,
// length.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "policy/tokenizer.h"
#include "rewards/reward.h"
#include "rl/statistics.h"
#include "rollout/engine.h"

namespace zeroth {

struct EvaluationOptions {
  std::int64_t num_generations = 16;  // samples a problem
  std::int64_t max_completion_length = 56;
  std::int64_t majority_generations = 16;  // samples that vote, the first; at most num_generations
  double temperature = 1.0;
  std::uint64_t seed = 0;
  bool greedy = true;  // also decode every problem once at temperature 0
  OnRewardError on_reward_error = OnRewardError::stop;
};

struct Evaluation {
  std::int64_t num_problems = 0;
  std::int64_t num_generations = 0;
  MeanInterval
      pass_at_1;  // a problem's share of right samples, mean over problems, bootstrap over problems
  double greedy = 0.0;  // share of problems right at temperature 0
  std::int64_t majority_generations = 0;
  double majority = 0.0;     // share of problems whose most frequent answer is right (maj@n)
  double pass_at_n = 0.0;    // share of problems right at least once in num_generations
  double format_rate = 0.0;  // share of samples that follow <think>…</think><answer>…</answer>
  double mean_length = 0.0;  // tokens a sample
  std::int64_t sampled_tokens = 0;   // greedy included
  std::int64_t reward_failures = 0;  // completions that `right` failed on, counted as not right
  double seconds = 0.0;
  std::vector<double> right_shares;  // [num_problems] share of a problem's samples that are right
};

/// Right is a completion to which `right` gives more than 0.5; one that it fails on or does not
/// apply to is not. RewardError for a failure under `stop`. Random numbers belong to a stream of
/// their own, so that an evaluation during training changes nothing in it.
Evaluation evaluate(Engine& engine, const Tokenizer& tokenizer,
                    const PromptTemplate& prompt_template, std::span<const Problem> problems,
                    const Reward& right, const EvaluationOptions& options);

}  // namespace zeroth
