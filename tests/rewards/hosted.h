// Rewards in child processes for tests: short times, and the outcomes as texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rewards/host/hosted_reward.h"
#include "system/error.h"

namespace zeroth::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kMemoryIsLimited = false;  // system/sandbox.cpp says why
#else
inline constexpr bool kMemoryIsLimited = true;
#endif

inline RewardHost reward_host(double timeout = 20.0) {
  return {.program = ZEROTH_REWARD_CHILD, .timeout = timeout, .memory = std::int64_t{512} << 20};
}

inline std::vector<RewardItem> items_of(const std::vector<std::string>& completions) {
  std::vector<RewardItem> items;
  for (const std::string& completion : completions) items.push_back({.completion = completion});
  return items;
}

inline std::vector<RewardOutcome> outcomes_of(const Reward& reward,
                                              const std::vector<std::string>& completions) {
  return reward.judge(items_of(completions), OnRewardError::exclude);
}

/// "hang: no answer within 1 s", or the score of an item that has one.
inline std::string text_of(const RewardOutcome& outcome) {
  if (outcome.result == RewardResult::scored) return std::to_string(outcome.score);
  return std::string(result_name(outcome.result)) + ": " + outcome.message;
}

inline std::vector<std::string> texts_of(const std::vector<RewardOutcome>& outcomes) {
  std::vector<std::string> texts;
  for (const RewardOutcome& outcome : outcomes) texts.push_back(text_of(outcome));
  return texts;
}

inline std::string outcome_of(const Reward& reward, const std::string& completion) {
  return text_of(outcomes_of(reward, {completion}).at(0));
}

}  // namespace zeroth::testing
