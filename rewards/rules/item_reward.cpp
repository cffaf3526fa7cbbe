#include "rewards/rules/item_reward.h"

#include <utility>

#include "system/error.h"

namespace zeroth {
namespace {

class ItemReward final : public Reward {
 public:
  ItemReward(std::string name, ItemRule rule, ReferenceRule references)
      : name_(std::move(name)), rule_(std::move(rule)), references_(std::move(references)) {}

  std::string_view name() const override { return name_; }

  std::string wanted_instead_of(std::string_view reference) const override {
    return references_ ? references_(reference) : std::string();
  }

  std::vector<double> score(std::span<const RewardItem> items) const override {
    std::vector<double> scores;
    scores.reserve(items.size());
    for (RewardOutcome& outcome : judge(items, OnRewardError::stop)) {
      if (outcome.result == RewardResult::not_applicable) {
        outcome.message = "it does not apply to this item";
        throw RewardError(name_, scores.size(), std::move(outcome));
      }
      scores.push_back(outcome.score);
    }
    return scores;
  }

  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override {
    std::vector<RewardOutcome> outcomes;
    outcomes.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      outcomes.push_back(outcome_of(items[i]));
      if (on_error == OnRewardError::stop && is_failure(outcomes[i].result))
        throw RewardError(name_, i, outcomes[i]);
    }
    return outcomes;
  }

  void try_on(std::span<const RewardItem> items) const override {
    for (const RewardItem& item : items) rule_(item);
  }

 private:
  RewardOutcome outcome_of(const RewardItem& item) const {
    try {
      const std::optional<double> score = rule_(item);
      return score ? outcome_of_score(*score)
                   : RewardOutcome{.result = RewardResult::not_applicable};
    } catch (const InputError& error) {
      return {.result = RewardResult::raised, .message = error.what()};
    }
  }

  std::string name_;
  ItemRule rule_;
  ReferenceRule references_;
};

}  // namespace

std::unique_ptr<Reward> make_item_reward(std::string name, ItemRule rule,
                                         ReferenceRule references) {
  return std::make_unique<ItemReward>(std::move(name), std::move(rule), std::move(references));
}

std::optional<std::int64_t> length_in_tokens(const RewardItem& item) {
  if (!item.completion_ids.empty()) return static_cast<std::int64_t>(item.completion_ids.size());
  const bool counted = item.num_tokens > 0 || item.max_tokens > 0 || item.completion.empty();
  return counted ? std::optional(item.num_tokens) : std::nullopt;
}

}  // namespace zeroth
