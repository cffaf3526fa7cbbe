#include "rewards/weighted_sum.h"

#include <catch2/catch.hpp>
#include <limits>

#include "rewards/registry.h"
#include "system/error.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

// Gives the scores it was made with, whatever the items.
class FixedReward final : public Reward {
 public:
  FixedReward(std::string name, std::vector<double> scores)
      : name_(std::move(name)), scores_(std::move(scores)) {}
  std::string_view name() const override { return name_; }
  std::vector<double> score(std::span<const RewardItem>) const override { return scores_; }

 private:
  std::string name_;
  std::vector<double> scores_;
};

std::vector<std::unique_ptr<Reward>> two_rewards(std::vector<double> x, std::vector<double> y) {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<FixedReward>("x", std::move(x)));
  rewards.push_back(std::make_unique<FixedReward>("y", std::move(y)));
  return rewards;
}

const std::vector<RewardItem> kTwoItems(2);

TEST_CASE("weighted_sum: totals and parts by hand", "[rewards]") {
  const WeightedRewards rewards(two_rewards({1, 0}, {0.5, 2}), {1.0, -2.0});
  const ScoredItems scored = rewards.score(kTwoItems);
  CHECK(scored.total == std::vector{0.0, -4.0});
  CHECK(scored.by_reward == std::vector<std::vector<double>>{{1, 0}, {0.5, 2}});
  CHECK(rewards.names() == std::vector<std::string_view>{"x", "y"});
}

TEST_CASE("weighted_sum: no weights means one each", "[rewards]") {
  const WeightedRewards rewards(two_rewards({1, 0}, {0.5, 2}), {});
  CHECK(rewards.weights() == std::vector{1.0, 1.0});
  CHECK(rewards.score(kTwoItems).total == std::vector{1.5, 2.0});
}

TEST_CASE("weighted_sum: the quickstart's reward, right in the layout plus a tenth for it",
          "[rewards]") {
  std::vector<std::unique_ptr<Reward>> parts;
  parts.push_back(make_reward("accuracy_in_format"));
  parts.push_back(make_reward("format"));
  const WeightedRewards rewards(std::move(parts), {1.0, 0.1});
  const RewardItem items[] = {
      {.completion = "<think>a</think><answer>42</answer>", .reference = "42"},
      {.completion = "<think>a</think><answer>41</answer>", .reference = "42"},
      {.completion = "<answer>42</answer>", .reference = "42"}};
  CHECK(rewards.score(items).total == std::vector{1.1, 0.1, 0.0});
}

TEST_CASE("weighted_sum: scoring items apart gives what scoring them together gives", "[rewards]") {
  std::vector<std::unique_ptr<Reward>> parts;
  std::vector<double> weights;
  for (const RewardEntry& entry : reward_entries()) {
    parts.push_back(make_reward(entry.name));
    weights.push_back(0.1 * static_cast<double>(parts.size()));
  }
  const WeightedRewards rewards(std::move(parts), weights);
  const std::int32_t ids[] = {3, 1, 3, 1, 3, 1};
  RewardItem items[] = {{.completion = "<think>a</think><answer>42</answer>", .reference = "42"},
                        {.completion = "#### 42", .reference = "42"},
                        {.completion = "<think>", .reference = "42"}};
  for (RewardItem& item : items) {
    item.columns_json = R"({"nums": [6, 7], "target": 42})";
    item.max_tokens = 7;
    item.num_tokens = 6;
    item.completion_ids = ids;
  }
  const ScoredItems together = rewards.score(items);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(rewards.score({&items[i], 1}).total.at(0) == together.total.at(i));
  }
}

TEST_CASE("weighted_sum: weights that do not fit the rewards", "[rewards]") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(WeightedRewards(two_rewards({}, {}), {1.0}), InputError);
  CHECK_THROWS_WITH(WeightedRewards(two_rewards({}, {}), {1.0}),
                    Contains("reward_weights: expected 2 weights, for x, y, got 1"));
  CHECK_THROWS_WITH(WeightedRewards(two_rewards({}, {}), {1.0, infinity}),
                    Contains("reward_weights: y: expected a finite number, got inf"));
}

TEST_CASE("weighted_sum: one reward twice, none and a null one", "[rewards]") {
  auto twice = two_rewards({}, {});
  twice.push_back(std::make_unique<FixedReward>("x", std::vector<double>{}));
  CHECK_THROWS_AS(WeightedRewards(std::move(twice), {}), InputError);
  CHECK_THROWS_AS(WeightedRewards({}, {}), std::invalid_argument);
  std::vector<std::unique_ptr<Reward>> null;
  null.push_back(nullptr);
  CHECK_THROWS_AS(WeightedRewards(std::move(null), {}), std::invalid_argument);
}

TEST_CASE("weighted_sum: scores that break the contract name the reward and the item",
          "[rewards]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const WeightedRewards not_finite(two_rewards({1, 1}, {1, nan}), {});
  try {
    not_finite.score(kTwoItems);
    FAIL("a score that is not a number was accepted");
  } catch (const RewardError& error) {
    CHECK(error.reward() == "y");
    CHECK(error.item() == 1);
    CHECK(error.outcome().result == RewardResult::not_finite);
    CHECK(std::string(error.what()) == "reward y: not_finite on item 1: the score nan");
  }
  const WeightedRewards too_few(two_rewards({1}, {1, 1}), {});
  CHECK_THROWS_WITH(too_few.score(kTwoItems),
                    Contains("reward x: wrong_count on item 0: 1 scores for 2 items"));
}

TEST_CASE("weighted_sum: what failed is left out or nothing, as it was asked for, and counted",
          "[rewards]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const ScoredItems excluded =
      WeightedRewards(two_rewards({1, 1}, {1, nan}), {}, {.action = OnRewardError::exclude})
          .score(kTwoItems);
  CHECK(excluded.total[0] == 2.0);
  CHECK(std::isnan(excluded.total[1]));
  CHECK(excluded.by_reward[0] == std::vector{1.0, 1.0});
  const ScoredItems fixed = WeightedRewards(two_rewards({1, 1}, {1, nan}), {},
                                            {.action = OnRewardError::score, .score = -0.5})
                                .score(kTwoItems);
  CHECK(fixed.total == std::vector{2.0, 0.5});
  for (const ScoredItems& scored : {excluded, fixed}) {
    REQUIRE(scored.failures.size() == 1);
    CHECK(scored.failures[0].reward == 1);
    CHECK(scored.failures[0].item == 1);
    CHECK(scored.failures[0].result == RewardResult::not_finite);
  }
}

// Has nothing to say about the items of which `applies` is false, and gives the others 1.
class PartialReward final : public Reward {
 public:
  explicit PartialReward(std::vector<bool> applies) : applies_(std::move(applies)) {}
  std::string_view name() const override { return "partial"; }
  std::vector<double> score(std::span<const RewardItem>) const override {
    throw std::logic_error("");
  }
  std::vector<RewardOutcome> judge(std::span<const RewardItem>, OnRewardError) const override {
    std::vector<RewardOutcome> outcomes;
    for (const bool applies : applies_)
      outcomes.push_back(applies ? outcome_of_score(1.0)
                                 : RewardOutcome{.result = RewardResult::not_applicable});
    return outcomes;
  }

 private:
  std::vector<bool> applies_;
};

TEST_CASE("weighted_sum: a reward that does not apply is left out of the sum, as in TRL",
          "[rewards]") {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<FixedReward>("x", std::vector{0.5, 0.25}));
  rewards.push_back(std::make_unique<PartialReward>(std::vector{true, false}));
  const ScoredItems scored = WeightedRewards(std::move(rewards), {1.0, 2.0}).score(kTwoItems);
  CHECK(scored.total == std::vector{2.5, 0.25});
  CHECK(std::isnan(scored.by_reward[1][1]));
  CHECK(scored.failures.empty());
  std::vector<std::unique_ptr<Reward>> alone;
  alone.push_back(std::make_unique<PartialReward>(std::vector{true, false}));
  const ScoredItems without = WeightedRewards(std::move(alone), {}).score(kTwoItems);
  CHECK(without.total[0] == 1.0);
  CHECK(std::isnan(without.total[1]));
}

}  // namespace
}  // namespace zeroth
