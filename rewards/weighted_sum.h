// Several rewards added with weights: what the learner sees as the reward of a completion, with its
// parts kept for the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

/// A reward failed on an item.
struct RewardFailure {
  std::size_t reward = 0;  // index of the reward
  std::size_t item = 0;    // index of the item
  RewardResult result = RewardResult::raised;
  std::string message;
};

struct ScoredItems {
  /// [item], sum over rewards of weight * score, in order, of those that apply to the item; NaN
  /// when none does, or one failed and the item is excluded.
  std::vector<double> total;
  std::vector<std::vector<double>> by_reward;  // [reward][item], without weights; NaN for no score
  std::vector<RewardFailure> failures;         // by reward, then item
  std::vector<std::int64_t> restarts;          // [reward], of its process meanwhile
  std::vector<double> seconds = {};            // [reward], of scoring all items
  std::vector<std::vector<double>> call_seconds = {};  // [reward][call of its process]
};

class WeightedRewards {
 public:
  /// No weights at all means 1 for each. Throws InputError for another number of weights than
  /// rewards, a weight that is not finite and two rewards of one name; std::invalid_argument for no
  /// rewards or a null one.
  WeightedRewards(std::vector<std::unique_ptr<Reward>> rewards, std::vector<double> weights,
                  RewardErrorPolicy on_error = {});

  /// Throws RewardError under `stop`, and whatever the policy where a reward cannot go on.
  ScoredItems score(std::span<const RewardItem> items) const;

  /// Tries every reward before a run. InputError for what cannot be right on any item.
  void try_on(std::span<const RewardItem> items) const;

  const Reward& reward(std::size_t index) const { return *rewards_.at(index); }
  const RewardErrorPolicy& on_error() const { return on_error_; }

  std::vector<std::string_view> names() const;  // [reward]
  const std::vector<double>& weights() const { return weights_; }

 private:
  std::vector<std::unique_ptr<Reward>> rewards_;
  std::vector<double> weights_;
  RewardErrorPolicy on_error_;
};

}  // namespace zeroth
