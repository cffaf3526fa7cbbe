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

/// Several rewards, each brought to one scale within its group before they are added, so that none
/// drowns another: GDPO (Liu et al. 2026, arXiv:2601.05242, section 3). With z_k the advantages of
/// reward k under `group`,
///   s_i = sum_k weight_k z_k,i      advantage_i = (s_i - mean(s)) / (std(s) + 1e-4)
/// where mean and unbiased deviation are over the batch. Agrees with TRL 1.16's
/// normalize_then_sum.
///
/// `by_reward` [reward][N], NaN where a reward does not apply: it adds nothing to s_i and is in no
/// mean. `total` [N] is the weighted sum; where it is NaN the completion is in nothing and its
/// advantage is 0. reward_mean and reward_std are those of `total`; frac_reward_zero_std counts the
/// groups in which no reward that weighs anything tells completions apart.
///
/// Throws std::invalid_argument as group_advantages does, and for sizes that differ.
Advantages decoupled_advantages(std::span<const std::vector<double>> by_reward,
                                std::span<const double> weights, std::span<const double> total,
                                std::int64_t num_generations);

}  // namespace zeroth
