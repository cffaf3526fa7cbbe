#include "rewards/rules/format_reward.h"

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "rewards/answers/answer_extraction.h"

namespace zeroth {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view kOpenThink = "<think>";
constexpr std::string_view kCloseThink = "</think>";
constexpr std::string_view kOpenAnswer = "<answer>";
constexpr std::string_view kCloseAnswer = "</answer>";
constexpr std::array kTags = {kOpenThink, kCloseThink, kOpenAnswer, kCloseAnswer};

// Where `tag` stands in `text`, or npos unless it occurs exactly once.
std::size_t only_position(std::string_view text, std::string_view tag) {
  const std::size_t first = text.find(tag);
  return first != npos && text.find(tag, first + tag.size()) == npos ? first : npos;
}

// One reward class for each of the two layouts' scores: both look at the completion alone.
class LayoutReward final : public Reward {
 public:
  using Score = double (*)(std::string_view completion);
  LayoutReward(std::string_view name, Score rule) : name_(name), rule_(rule) {}

  std::string_view name() const override { return name_; }

  std::vector<double> score(std::span<const RewardItem> items) const override {
    std::vector<double> scores;
    scores.reserve(items.size());
    for (const RewardItem& item : items) scores.push_back(rule_(item.completion));
    return scores;
  }

 private:
  std::string_view name_;
  Score rule_;
};

class AccuracyInFormatReward final : public Reward {
 public:
  explicit AccuracyInFormatReward(AccuracyRewardConfig config)
      : accuracy_(make_accuracy_reward(std::move(config))) {}

  std::string_view name() const override { return "accuracy_in_format"; }

  std::vector<double> score(std::span<const RewardItem> items) const override {
    std::vector<double> scores = accuracy_->score(items);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!follows_format(items[i].completion)) scores[i] = 0.0;
    }
    return scores;
  }

  std::string wanted_instead_of(std::string_view reference) const override {
    return accuracy_->wanted_instead_of(reference);
  }

 private:
  std::unique_ptr<Reward> accuracy_;
};

}  // namespace

bool follows_format(std::string_view completion) {
  std::array<std::size_t, 4> at{};
  for (std::size_t i = 0; i < kTags.size(); ++i) {
    at[i] = only_position(completion, kTags[i]);
    if (at[i] == npos || (i > 0 && at[i] < at[i - 1])) return false;
  }
  const std::size_t think_end = at[1] + kCloseThink.size();
  const std::size_t answer_begin = at[2] + kOpenAnswer.size();
  const bool nothing_around = at[0] == 0 && at[3] + kCloseAnswer.size() == completion.size() &&
                              trimmed(completion.substr(think_end, at[2] - think_end)).empty();
  return nothing_around && !trimmed(completion.substr(answer_begin, at[3] - answer_begin)).empty();
}

double format_parts(std::string_view completion) {
  double score = 0.0;
  std::size_t earned_end = 0;
  for (const std::string_view tag : kTags) {
    const std::size_t position = only_position(completion, tag);
    if (position == npos || position < earned_end) continue;
    earned_end = position + tag.size();
    score += 0.25;
  }
  return score;
}

std::unique_ptr<Reward> make_format_reward() {
  return std::make_unique<LayoutReward>(
      "format", [](std::string_view completion) { return follows_format(completion) ? 1.0 : 0.0; });
}

std::unique_ptr<Reward> make_graded_format_reward() {
  return std::make_unique<LayoutReward>("format_parts", format_parts);
}

std::unique_ptr<Reward> make_accuracy_in_format_reward(AccuracyRewardConfig config) {
  return std::make_unique<AccuracyInFormatReward>(std::move(config));
}

}  // namespace zeroth
