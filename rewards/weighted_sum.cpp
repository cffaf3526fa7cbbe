#include "rewards/weighted_sum.h"

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

std::vector<double> checked_scores(const Reward& reward, std::span<const RewardItem> items) {
  std::vector<double> scores = reward.score(items);
  const std::string name(reward.name());
  if (scores.size() != items.size()) {
    throw RewardError(name, 0,
                      "gave " + std::to_string(scores.size()) + " scores for " +
                          std::to_string(items.size()) + " items");
  }
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isfinite(scores[i])) continue;
    throw RewardError(name, i,
                      "gave item " + std::to_string(i) + " the score " + std::to_string(scores[i]));
  }
  return scores;
}

}  // namespace

RewardError::RewardError(std::string reward, std::size_t item, const std::string& what)
    : std::runtime_error("reward " + reward + " " + what),
      reward_(std::move(reward)),
      item_(item) {}

WeightedRewards::WeightedRewards(std::vector<std::unique_ptr<Reward>> rewards,
                                 std::vector<double> weights)
    : rewards_(std::move(rewards)), weights_(std::move(weights)) {
  if (rewards_.empty()) throw std::invalid_argument("WeightedRewards: there are no rewards");
  for (const auto& reward : rewards_) {
    if (reward == nullptr) throw std::invalid_argument("WeightedRewards: a reward is null");
  }
  if (weights_.empty()) weights_.assign(rewards_.size(), 1.0);
  check_names(names());
  check_weights(weights_, names());
}

ScoredItems WeightedRewards::score(std::span<const RewardItem> items) const {
  ScoredItems scored{.total = std::vector<double>(items.size(), 0.0), .by_reward = {}};
  for (std::size_t r = 0; r < rewards_.size(); ++r) {
    scored.by_reward.push_back(checked_scores(*rewards_[r], items));
    for (std::size_t i = 0; i < items.size(); ++i) {
      scored.total[i] += weights_[r] * scored.by_reward[r][i];
    }
  }
  return scored;
}

std::vector<std::string_view> WeightedRewards::names() const {
  std::vector<std::string_view> names;
  for (const auto& reward : rewards_) names.push_back(reward->name());
  return names;
}

}  // namespace zeroth
