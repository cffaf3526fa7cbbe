// Group-relative advantages: a completion's reward against those of the other completions of its
// prompt. Non-goal: value functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace zeroth {

/// What the distance to the group's mean is divided by.
enum class ScaleRewards {
  group,  // the group's standard deviation (GRPO)
  batch,  // the standard deviation of the whole batch
  none,   // nothing (Dr. GRPO)
};

struct Advantages {
  std::vector<double> advantages;     // [N]
  double reward_mean = 0.0;           // over the batch; 0 when no completion has a reward
  double reward_std = 0.0;            // over the batch, unbiased; 0 for fewer than two rewards
  double frac_reward_zero_std = 0.0;  // share of completions whose divisor's deviation is 0
};

/// advantage_i = (r_i - mean(group of i)) / (std + 1e-4), GRPO (Shao et al. 2024, arXiv:2402.03300,
/// section 4.1.2); with `none`, the difference alone, Dr. GRPO (Liu et al. 2025, arXiv:2503.20783,
/// section 3.2). Deviations are unbiased (n - 1). Agrees with TRL 1.16.
///
/// `rewards` [N] holds whole groups of `num_generations`, one after the other. NaN marks a
/// completion that no rule could score: it is left out of means and deviations and its advantage is
/// 0. A group whose rewards are all equal gets advantages of exactly 0. Under `group` and `none`,
/// frac_reward_zero_std counts the groups with equal rewards (a group with fewer than two scored
/// completions has no deviation and is not counted, unless num_generations is 1); under `batch` it
/// is 1 or 0 for the whole batch.
///
/// Throws std::invalid_argument when num_generations < 1, does not divide N, or a reward is
/// infinite.
Advantages group_advantages(std::span<const double> rewards, std::int64_t num_generations,
                            ScaleRewards scale_rewards);

}  // namespace zeroth
