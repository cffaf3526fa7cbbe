#include "rewards/rules/length_reward.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "rewards/answers/characters.h"
#include "rewards/reward_parameters.h"
#include "rewards/rules/answer_reward.h"
#include "rewards/rules/item_reward.h"

namespace zeroth {
namespace {

// `maximum`, or the run's where it is 0.
std::optional<std::int64_t> maximum_of(std::int64_t maximum, const RewardItem& item) {
  if (maximum > 0) return maximum;
  return item.max_tokens > 0 ? std::optional(item.max_tokens) : std::nullopt;
}

std::optional<double> soft_overlong(const SoftOverlongConfig& config, const RewardItem& item) {
  const std::optional<std::int64_t> length = length_in_tokens(item);
  const std::optional<std::int64_t> maximum = maximum_of(config.max_completion_len, item);
  if (!length || !maximum) return std::nullopt;
  const std::int64_t cache =
      config.soft_punish_cache >= 0 ? config.soft_punish_cache : *maximum / 5;
  if (*length <= *maximum - cache) return 0.0;
  if (*length > *maximum) return -1.0;
  return static_cast<double>(*maximum - cache - *length) / static_cast<double>(cache);
}

std::optional<double> cosine_length(const CosineLengthConfig& config, double correct,
                                    const RewardItem& item) {
  const std::optional<std::int64_t> length =
      config.unit == "tokens"
          ? length_in_tokens(item)
          : std::optional(static_cast<std::int64_t>(count_characters(item.completion)));
  const std::optional<std::int64_t> maximum = maximum_of(config.max_len, item);
  if (!length || !maximum) return std::nullopt;
  double progress = static_cast<double>(*length) / static_cast<double>(*maximum);
  if (config.clamp) progress = std::min(progress, 1.0);
  const bool right = correct > 0.5;
  const double low = right ? config.min_value_correct : config.max_value_wrong;
  const double high = right ? config.max_value_correct : config.min_value_wrong;
  return low + 0.5 * (high - low) * (1.0 + std::cos(progress * std::numbers::pi));
}

}  // namespace

std::unique_ptr<Reward> make_soft_overlong_reward(const SoftOverlongConfig& config) {
  require_parameter(config.max_completion_len >= 0, "soft_overlong", "max_completion_len",
                    "at least 0", config.max_completion_len);
  require_parameter(config.soft_punish_cache >= -1, "soft_overlong", "soft_punish_cache",
                    "at least -1", config.soft_punish_cache);
  return make_item_reward("soft_overlong",
                          [config](const RewardItem& item) { return soft_overlong(config, item); });
}

std::unique_ptr<Reward> make_cosine_length_reward(const CosineLengthConfig& config,
                                                  const ExtractionConfig& extraction) {
  require_parameter(config.max_len >= 0, "cosine_length", "max_len", "at least 0", config.max_len);
  const AnswerJudge judge(extraction, config.unreadable_reference == "skip");
  return make_item_reward(
      "cosine_length",
      [config, judge](const RewardItem& item) -> std::optional<double> {
        const std::optional<double> correct = judge.judge(item.completion, item.reference);
        if (!correct) return std::nullopt;
        return cosine_length(config, *correct, item);
      },
      [judge](std::string_view reference) { return judge.wanted_instead_of(reference); });
}

}  // namespace zeroth
