#include "rl/advantage.h"

#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace zeroth {
namespace {

constexpr double kEpsilon = 1e-4;        // added to the divisor
constexpr double kZeroDeviation = 1e-8;  // deviations up to this count as 0

struct Moments {
  std::int64_t count = 0;  // scored completions
  double mean = 0.0;
  double deviation = 0.0;  // unbiased; 0 when count < 2
};

// Means are taken around the first value, so that equal rewards have exactly that mean.
Moments moments(std::span<const double> rewards) {
  Moments result;
  double origin = 0.0;
  double sum = 0.0;
  for (const double reward : rewards) {
    if (std::isnan(reward)) continue;
    if (result.count == 0) origin = reward;
    sum += reward - origin;
    ++result.count;
  }
  if (result.count == 0) return result;
  result.mean = origin + sum / static_cast<double>(result.count);
  if (result.count < 2) return result;
  double squares = 0.0;
  for (const double reward : rewards) {
    if (!std::isnan(reward)) squares += (reward - result.mean) * (reward - result.mean);
  }
  result.deviation = std::sqrt(squares / static_cast<double>(result.count - 1));
  return result;
}

void check(std::span<const double> rewards, std::int64_t num_generations) {
  if (num_generations < 1) {
    throw std::invalid_argument("group_advantages: num_generations must be at least 1");
  }
  if (rewards.size() % static_cast<std::size_t>(num_generations) != 0) {
    throw std::invalid_argument("group_advantages: rewards do not form whole groups");
  }
  for (const double reward : rewards) {
    if (std::isinf(reward)) throw std::invalid_argument("group_advantages: a reward is infinite");
  }
}

// The share of completions whose group has distances of 0 only, and two scored ones to tell apart.
double frac_told_apart_by_none(std::span<const double> distances, std::span<const double> total,
                               std::int64_t num_generations) {
  const auto group_size = static_cast<std::size_t>(num_generations);
  std::size_t counted = 0;
  for (std::size_t first = 0; first < total.size(); first += group_size) {
    std::size_t scored = 0;
    bool apart = false;
    for (std::size_t i = first; i < first + group_size; ++i) {
      scored += std::isnan(total[i]) ? 0 : 1;
      apart = apart || distances[i] > 0.0;
    }
    if (!apart && (scored > 1 || group_size == 1)) counted += group_size;
  }
  return total.empty() ? 0.0 : static_cast<double>(counted) / static_cast<double>(total.size());
}

}  // namespace

Advantages group_advantages(std::span<const double> rewards, std::int64_t num_generations,
                            ScaleRewards scale_rewards) {
  check(rewards, num_generations);
  const Moments batch = moments(rewards);
  Advantages result;
  result.reward_mean = batch.mean;
  result.reward_std = batch.deviation;
  result.advantages.reserve(rewards.size());
  std::int64_t zero_deviation = 0;
  const auto group_size = static_cast<std::size_t>(num_generations);
  for (std::size_t first = 0; first < rewards.size(); first += group_size) {
    const std::span<const double> group_rewards = rewards.subspan(first, group_size);
    const Moments group = moments(group_rewards);
    const Moments& scale = scale_rewards == ScaleRewards::batch ? batch : group;
    const bool defined = scale.count > 1 || num_generations == 1;
    if (defined && scale.deviation <= kZeroDeviation) zero_deviation += num_generations;
    const double divisor = scale_rewards == ScaleRewards::none ? 1.0 : scale.deviation + kEpsilon;
    for (const double reward : group_rewards) {
      result.advantages.push_back(std::isnan(reward) ? 0.0 : (reward - group.mean) / divisor);
    }
  }
  if (!rewards.empty()) {
    result.frac_reward_zero_std =
        static_cast<double>(zero_deviation) / static_cast<double>(rewards.size());
  }
  return result;
}

Advantages decoupled_advantages(std::span<const std::vector<double>> by_reward,
                                std::span<const double> weights, std::span<const double> total,
                                std::int64_t num_generations) {
  if (by_reward.size() != weights.size())
    throw std::invalid_argument("decoupled_advantages: another number of weights than rewards");
  const std::size_t count = total.size();
  // Of the total, what a run reports; and a completion without one is in no sum.
  Advantages result = group_advantages(total, num_generations, ScaleRewards::none);
  std::vector<double> sums(count, 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isnan(total[i])) sums[i] = total[i];
  }
  std::vector<double> distances(count, 0.0);  // from what is the same in all rewards
  for (std::size_t k = 0; k < by_reward.size(); ++k) {
    if (by_reward[k].size() != count)
      throw std::invalid_argument("decoupled_advantages: rewards of different lengths");
    std::vector<double> rewards = by_reward[k];
    for (std::size_t i = 0; i < count; ++i) {
      if (std::isnan(total[i])) rewards[i] = total[i];
    }
    const std::vector<double> own =
        group_advantages(rewards, num_generations, ScaleRewards::group).advantages;
    for (std::size_t i = 0; i < count; ++i) {
      sums[i] += weights[k] * own[i];
      distances[i] += std::abs(weights[k] * own[i]);
    }
  }
  const Moments batch = moments(sums);
  for (std::size_t i = 0; i < count; ++i) {
    result.advantages[i] =
        std::isnan(sums[i]) ? 0.0 : (sums[i] - batch.mean) / (batch.deviation + kEpsilon);
  }
  result.frac_reward_zero_std = frac_told_apart_by_none(distances, total, num_generations);
  return result;
}

}  // namespace zeroth
