// One item and one reward: what the tests of the built-in rewards ask.
#pragma once

#include <span>
#include <string_view>

#include "rewards/registry.h"

namespace zeroth {

/// What `reward` says of one item; RewardError where that is a failure or nothing.
inline double score_of(const Reward& reward, const RewardItem& item) {
  return reward.score({&item, 1}).at(0);
}

/// The same of a reward of the registry with parameters, as a recipe names them.
inline double score_of(std::string_view name, const RewardItem& item,
                       std::string_view parameters = "{}") {
  return score_of(*make_reward(name, {.parameters = std::string(parameters)}), item);
}

/// Whether the reward has something to say about the item.
inline bool applies(std::string_view name, const RewardItem& item,
                    std::string_view parameters = "{}") {
  const auto reward = make_reward(name, {.parameters = std::string(parameters)});
  return reward->judge({&item, 1}, OnRewardError::stop).at(0).result !=
         RewardResult::not_applicable;
}

}  // namespace zeroth
