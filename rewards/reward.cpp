#include "rewards/reward.h"

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

constexpr std::size_t kQuotedBytes = 120;

}  // namespace

std::string_view result_name(RewardResult result) {
  switch (result) {
    case RewardResult::scored:
      return "scored";
    case RewardResult::not_applicable:
      return "not_applicable";
    case RewardResult::raised:
      return "raised";
    case RewardResult::not_finite:
      return "not_finite";
    case RewardResult::wrong_count:
      return "wrong_count";
    case RewardResult::crash:
      return "crash";
    case RewardResult::exit:
      return "exit";
    case RewardResult::hang:
      return "hang";
    case RewardResult::memory:
      return "memory";
    case RewardResult::garbled:
      return "garbled";
  }
  throw std::invalid_argument("result_name: not one of its values");
}

bool is_failure(RewardResult result) {
  return result != RewardResult::scored && result != RewardResult::not_applicable;
}

RewardErrorPolicy parse_reward_error_policy(std::string_view text, const std::string& source,
                                            const std::string& field) {
  if (text == "stop") return {.action = OnRewardError::stop};
  if (text == "exclude") return {.action = OnRewardError::exclude};
  double score = 0.0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, score);
  if (read.ec != std::errc() || read.ptr != end || !std::isfinite(score)) {
    throw InputError({.source = source,
                      .field = field,
                      .expected = "stop, exclude, or a finite number: the score of a completion "
                                  "that a reward fails on",
                      .actual = std::string(text)});
  }
  return {.action = OnRewardError::score, .score = score};
}

std::string reward_error_policy_name(const RewardErrorPolicy& policy) {
  if (policy.action == OnRewardError::stop) return "stop";
  if (policy.action == OnRewardError::exclude) return "exclude";
  std::string text = json_number(policy.score);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

RewardError::RewardError(std::string reward, std::size_t item, RewardOutcome outcome,
                         const std::string& where)
    : std::runtime_error("reward " + reward + ": " + std::string(result_name(outcome.result)) +
                         " on " + where + ": " + outcome.message),
      reward_(std::move(reward)),
      item_(item),
      outcome_(std::move(outcome)) {}

RewardOutcome outcome_of_score(double score) {
  if (std::isfinite(score)) return {.result = RewardResult::scored, .score = score};
  return {.result = RewardResult::not_finite, .message = "the score " + std::to_string(score)};
}

std::vector<RewardOutcome> Reward::judge(std::span<const RewardItem> items,
                                         OnRewardError on_error) const {
  const std::vector<double> scores = score(items);
  std::vector<RewardOutcome> outcomes;
  for (std::size_t i = 0; i < items.size(); ++i) {
    outcomes.push_back(scores.size() == items.size()
                           ? outcome_of_score(scores[i])
                           : RewardOutcome{.result = RewardResult::wrong_count,
                                           .message = std::to_string(scores.size()) +
                                                      " scores for " +
                                                      std::to_string(items.size()) + " items"});
    if (on_error == OnRewardError::stop && is_failure(outcomes[i].result))
      throw RewardError(std::string(name()), i, outcomes[i]);
  }
  return outcomes;
}

std::string quoted_start(std::string_view text) {
  const bool whole = text.size() <= kQuotedBytes;
  std::size_t size = whole ? text.size() : kQuotedBytes;
  // Not in the middle of a UTF-8 sequence.
  while (!whole && size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0u) == 0x80u) --size;
  return boost::json::serialize(boost::json::string(text.substr(0, size))) + (whole ? "" : " …");
}

}  // namespace zeroth
