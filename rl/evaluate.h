// How often a policy is right: pass@k, maj@k and greedy accuracy, format rate and length, each with
// an interval over the problems.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "policy/tokenizer.h"
#include "rewards/answers/answer_extraction.h"
#include "rewards/reward.h"
#include "rl/statistics.h"
#include "rollout/engine.h"

namespace zeroth {

/// The completions of one decoding, those of a problem side by side; valid during the call.
struct EvaluatedSamples {
  std::span<const RewardItem> items;
  std::span<const double> scores;    // by the reward that says what is right, one a completion
  std::int64_t num_generations = 0;  // of a problem
  bool greedy = false;
};

struct EvaluationOptions {
  std::int64_t num_generations = 16;  // samples a problem
  std::int64_t max_completion_length = 56;
  std::int64_t majority_generations = 16;  // samples that vote, the first; at most num_generations
  double temperature = 1.0;
  std::uint64_t seed = 0;
  bool greedy = true;      // also decode every problem once at temperature 0
  std::int64_t top_k = 0;  // as SamplingParams
  double top_p = 1.0;
  double min_p = 0.0;
  std::vector<std::int64_t> pass_at = {};      // the k of rates.pass_at, 1 to num_generations
  std::vector<std::int64_t> majority_at = {};  // the k of rates.majority_at, the same
  std::function<void(const EvaluatedSamples&)> on_samples =
      {};  // the samples, then the greedy ones
  OnRewardError on_reward_error = OnRewardError::stop;
  ExtractionConfig extraction = {};  // of the answers that vote
  std::string place =
      "an evaluation's";  // where a RewardError says it was: "… problem 7, sample 2"
};

/// What an evaluation knows of one problem.
struct EvaluatedProblem {
  std::string id;
  std::int64_t num_right = 0;            // of num_generations samples
  double greedy = 0.0;                   // 1: right at temperature 0
  double format_rate = 0.0;              // share of its samples
  double mean_length = 0.0;              // tokens a sample
  std::vector<double> majority_at = {};  // majority_at_k for each k of the options
};

struct RateAtK {
  std::int64_t k = 0;
  MeanInterval rate;
};

/// Means over problems with 95 % bootstrap intervals over problems.
struct EvaluationRates {
  std::int64_t num_problems = 0;
  std::vector<RateAtK> pass_at;      // the unbiased estimate of pass_at_k
  std::vector<RateAtK> majority_at;  // majority_at_k
  MeanInterval greedy, format_rate, mean_length;
};

/// The rates of some problems of an evaluation with these options; all intervals are over the same
/// resamples. std::invalid_argument for no problems.
EvaluationRates rates_of(std::span<const EvaluatedProblem> problems,
                         const EvaluationOptions& options);

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
  EvaluationRates rates;             // of all problems, for the k of the options
  std::vector<EvaluatedProblem> problems;  // in the order of the data
};

/// Right is a completion to which `right` gives more than 0.5; one that it fails on or does not
/// apply to is not. RewardError for a failure under `stop`; std::invalid_argument for no problems
/// and for a k outside of its range. Random numbers belong to a stream of their own, so that an
/// evaluation during training changes nothing in it.
Evaluation evaluate(Engine& engine, const Tokenizer& tokenizer,
                    const PromptTemplate& prompt_template, std::span<const Problem> problems,
                    const Reward& right, const EvaluationOptions& options);

}  // namespace zeroth
