// Several rewards added with weights: what the learner sees as the reward of a completion, with its
// parts kept for the log.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

/// A reward broke its contract: a score that is not finite, or another number of scores than items.
class RewardError : public std::runtime_error {
 public:
  RewardError(std::string reward, std::size_t item, const std::string& what);
  const std::string& reward() const noexcept { return reward_; }  // name of the reward
  std::size_t item() const noexcept { return item_; }  // index of the item, 0 for a wrong count

 private:
  std::string reward_;
  std::size_t item_;
};

struct ScoredItems {
  std::vector<double> total;  // [item], sum over rewards of weight * score, in order
  std::vector<std::vector<double>> by_reward;  // [reward][item], without weights
};

class WeightedRewards {
 public:
  /// No weights at all means 1 for each. Throws InputError for another number of weights than
  /// rewards, a weight that is not finite and two rewards of one name; std::invalid_argument for no
  /// rewards or a null one.
  WeightedRewards(std::vector<std::unique_ptr<Reward>> rewards, std::vector<double> weights);

  /// Throws RewardError.
  ScoredItems score(std::span<const RewardItem> items) const;

  std::vector<std::string_view> names() const;  // [reward]
  const std::vector<double>& weights() const { return weights_; }

 private:
  std::vector<std::unique_ptr<Reward>> rewards_;
  std::vector<double> weights_;
};

}  // namespace zeroth
