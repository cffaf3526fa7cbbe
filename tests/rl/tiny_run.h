// What a training run needs, small: sums of two digits, a tiny checkpoint, a reward that a random
// policy earns.
#pragma once

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "datasets/sums.h"
#include "policy/prompt_template.h"
#include "rewards/weighted_sum.h"
#include "rl/metrics.h"

namespace zeroth::testing {

/// The share of '7' in the completion; nothing for an empty one.
class SevensReward : public Reward {
 public:
  std::string_view name() const override { return "sevens"; }
  std::vector<double> score(std::span<const RewardItem> items) const override {
    std::vector<double> scores;
    for (const RewardItem& item : items) {
      const auto sevens = std::count(item.completion.begin(), item.completion.end(), '7');
      scores.push_back(item.completion.empty() ? 0.0
                                               : static_cast<double>(sevens) /
                                                     static_cast<double>(item.completion.size()));
    }
    return scores;
  }
};

inline WeightedRewards sevens_reward() {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<SevensReward>());
  return WeightedRewards(std::move(rewards), {});
}

/// Problems with careful solutions.
inline std::vector<Problem> sums_problems() {
  const SumsTask task({.digits = 2,
                       .seed = 3,
                       .num_train = 30,
                       .num_calibration = 4,
                       .num_validation = 4,
                       .num_test = 4});
  std::vector<Problem> problems;
  for (const SumsProblem& sum : task.problems(Split::train)) {
    problems.push_back(sums_problem(sum));
    problems.back().solution =
        sums_trace(sum, {.careful = 1.0, .guess = 0.0, .hasty = 0.0}, {.index = problems.size()});
  }
  return problems;
}

inline PromptTemplate plain_template() {
  return PromptTemplate::from_text("{question}", "test");
}

/// The value of the metric `name`; NaN when there is none, which equals nothing.
inline double metric(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& m : metrics) {
    if (m.name == name) return m.value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

inline std::string file_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace zeroth::testing
