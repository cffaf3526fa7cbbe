#include "rewards/weighted_sum.h"

#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "system/error.h"

namespace zeroth {
namespace {

std::string joined(const std::vector<std::string_view>& names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

void check_names(const std::vector<std::string_view>& names) {
  std::set<std::string_view> seen;
  for (const std::string_view name : names) {
    if (seen.insert(name).second) continue;
    throw InputError({.source = "reward_funcs",
                      .field = "",
                      .expected = "each reward once",
                      .actual = joined(names)});
  }
}

void check_weights(const std::vector<double>& weights, const std::vector<std::string_view>& names) {
  if (weights.size() != names.size()) {
    throw InputError({.source = "reward_weights",
                      .field = "",
                      .expected = std::to_string(names.size()) + " weights, for " + joined(names),
                      .actual = std::to_string(weights.size())});
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (std::isfinite(weights[i])) continue;
    throw InputError({.source = "reward_weights",
                      .field = std::string(names[i]),
                      .expected = "a finite number",
                      .actual = std::to_string(weights[i])});
  }
}

}  // namespace

WeightedRewards::WeightedRewards(std::vector<std::unique_ptr<Reward>> rewards,
                                 std::vector<double> weights, RewardErrorPolicy on_error)
    : rewards_(std::move(rewards)), weights_(std::move(weights)), on_error_(on_error) {
  if (rewards_.empty()) throw std::invalid_argument("WeightedRewards: there are no rewards");
  for (const auto& reward : rewards_) {
    if (reward == nullptr) throw std::invalid_argument("WeightedRewards: a reward is null");
  }
  if (weights_.empty()) weights_.assign(rewards_.size(), 1.0);
  check_names(names());
  check_weights(weights_, names());
}

ScoredItems WeightedRewards::score(std::span<const RewardItem> items) const {
  ScoredItems scored{.total = std::vector<double>(items.size(), 0.0),
                     .by_reward = {},
                     .failures = {},
                     .restarts = {}};
  std::vector<bool> applies(items.size(), false);
  std::vector<bool> excluded(items.size(), false);
  for (std::size_t r = 0; r < rewards_.size(); ++r) {
    const std::int64_t restarts = rewards_[r]->num_restarts();
    rewards_[r]->take_call_seconds();  // of trials, and of others' calls
    const auto start = std::chrono::steady_clock::now();
    std::vector<RewardOutcome> outcomes = rewards_[r]->judge(items, on_error_.action);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    scored.seconds.push_back(spent.count());
    scored.call_seconds.push_back(rewards_[r]->take_call_seconds());
    scored.restarts.push_back(rewards_[r]->num_restarts() - restarts);
    std::vector<double>& scores = scored.by_reward.emplace_back();
    for (std::size_t i = 0; i < items.size(); ++i) {
      RewardOutcome& outcome = outcomes.at(i);
      if (is_failure(outcome.result)) {
        scored.failures.push_back({r, i, outcome.result, std::move(outcome.message)});
        if (on_error_.action == OnRewardError::score) {
          outcome.score = on_error_.score;
        } else {
          excluded[i] = true;
        }
      }
      scores.push_back(outcome.score);
      if (std::isnan(outcome.score)) continue;
      applies[i] = true;
      scored.total[i] += weights_[r] * outcome.score;
    }
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (excluded[i] || !applies[i]) scored.total[i] = std::numeric_limits<double>::quiet_NaN();
  }
  return scored;
}

void WeightedRewards::try_on(std::span<const RewardItem> items) const {
  for (const auto& reward : rewards_) reward->try_on(items);
}

std::vector<std::string_view> WeightedRewards::names() const {
  std::vector<std::string_view> names;
  for (const auto& reward : rewards_) names.push_back(reward->name());
  return names;
}

}  // namespace zeroth
