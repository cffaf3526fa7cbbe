#include "rewards/rules/group_length_reward.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "rewards/answers/characters.h"
#include "rewards/rules/answer_reward.h"
#include "rewards/rules/item_reward.h"

namespace zeroth {
namespace {

constexpr std::string_view kName = "length";

using Items = std::span<const RewardItem>;

class GroupLengthReward final : public Reward {
 public:
  GroupLengthReward(const GroupLengthConfig& config, const ExtractionConfig& extraction)
      : config_(config), judge_(extraction, config.unreadable_reference == "skip") {}

  std::string_view name() const override { return kName; }

  std::string wanted_instead_of(std::string_view reference) const override {
    return judge_.wanted_instead_of(reference);
  }

  std::vector<double> score(Items items) const override {
    std::vector<double> scores;
    for (const RewardOutcome& outcome : judge(items, OnRewardError::stop)) {
      if (outcome.result != RewardResult::scored) {
        throw RewardError(std::string(kName), scores.size(),
                          {.result = outcome.result, .message = "its length is not known"});
      }
      scores.push_back(outcome.score);
    }
    return scores;
  }

  std::vector<RewardOutcome> judge(Items items, OnRewardError /*on_error*/) const override {
    std::vector<RewardOutcome> outcomes;
    outcomes.reserve(items.size());
    while (outcomes.size() < items.size()) {
      const Items rest = items.subspan(outcomes.size());
      const auto end = std::find_if(rest.begin(), rest.end(), [&](const RewardItem& item) {
        return item.prompt != rest[0].prompt || item.reference != rest[0].reference;
      });
      judge_group(rest.first(static_cast<std::size_t>(end - rest.begin())), outcomes);
    }
    return outcomes;
  }

 private:
  std::optional<std::int64_t> length_of(const RewardItem& item) const {
    if (config_.unit == "tokens") return length_in_tokens(item);
    return static_cast<std::int64_t>(count_characters(item.completion));
  }

  // Appends the outcomes of one group.
  void judge_group(Items group, std::vector<RewardOutcome>& outcomes) const {
    std::vector<std::optional<std::int64_t>> lengths;
    std::optional<std::int64_t> shortest, longest;
    for (const RewardItem& item : group) {
      const std::optional<std::int64_t> length = lengths.emplace_back(length_of(item));
      if (!length) continue;
      shortest = std::min(shortest.value_or(*length), *length);
      longest = std::max(longest.value_or(*length), *length);
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (!lengths[i]) {
        outcomes.push_back({.result = RewardResult::not_applicable});
        continue;
      }
      double score = 0.0;
      if (*longest > *shortest) {
        score = 0.5 - static_cast<double>(*lengths[i] - *shortest) /
                          static_cast<double>(*longest - *shortest);
        if (judge_.judge(group[i].completion, group[i].reference).value_or(1.0) < 0.5)
          score = std::min(0.0, score);
      }
      outcomes.push_back(outcome_of_score(score));
    }
  }

  GroupLengthConfig config_;
  AnswerJudge judge_;
};

}  // namespace

std::unique_ptr<Reward> make_group_length_reward(const GroupLengthConfig& config,
                                                 const ExtractionConfig& extraction) {
  return std::make_unique<GroupLengthReward>(config, extraction);
}

}  // namespace zeroth
