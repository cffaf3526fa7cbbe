#include "rewards/rules/item_reward.h"

#include <catch2/catch.hpp>
#include <limits>

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

// Half the tokens; nothing to say of "-".
std::unique_ptr<Reward> halves() {
  return make_item_reward(
      "halves",
      [](const RewardItem& item) -> std::optional<double> {
        if (item.completion == "-") return std::nullopt;
        if (item.completion == "nan") return std::numeric_limits<double>::quiet_NaN();
        return static_cast<double>(item.num_tokens) / 2;
      },
      [](std::string_view reference) -> std::string {
        return reference.empty() ? "a reference" : "";
      });
}

TEST_CASE("item_reward: scores stand in the order of the items", "[rewards]") {
  const RewardItem items[] = {{.completion = "a", .num_tokens = 3},
                              {.completion = "b", .num_tokens = 4}};
  CHECK(halves()->score(items) == std::vector<double>{1.5, 2.0});
  CHECK(halves()->name() == "halves");
}

TEST_CASE("item_reward: nothing to say is no failure, but no score either", "[rewards]") {
  const RewardItem items[] = {{.completion = "a", .num_tokens = 3}, {.completion = "-"}};
  const auto outcomes = halves()->judge(items, OnRewardError::stop);
  CHECK(outcomes.at(0).score == 1.5);
  CHECK(outcomes.at(1).result == RewardResult::not_applicable);
  CHECK_THROWS_AS(halves()->score(items), RewardError);
  CHECK_THROWS_WITH(halves()->score(items), Contains("halves") && Contains("item 1"));
}

TEST_CASE("item_reward: a score that is no number is a failure of its item", "[rewards]") {
  const RewardItem items[] = {{.completion = "a"}, {.completion = "nan"}};
  CHECK_THROWS_AS(halves()->judge(items, OnRewardError::stop), RewardError);
  CHECK(halves()->judge(items, OnRewardError::exclude).at(1).result == RewardResult::not_finite);
}

TEST_CASE("item_reward: references are asked about where there is a rule for them", "[rewards]") {
  CHECK(halves()->wanted_instead_of("42").empty());
  CHECK(halves()->wanted_instead_of("") == "a reference");
  const auto any = make_item_reward("any", [](const RewardItem&) { return 1.0; });
  CHECK(any->wanted_instead_of("").empty());
}

TEST_CASE("item_reward: the length is the tokens', their number's, or not known", "[rewards]") {
  const std::int32_t ids[] = {7, 8, 9};
  CHECK(length_in_tokens({.completion = "abc", .completion_ids = ids}) == 3);
  CHECK(length_in_tokens({.completion = "abc", .num_tokens = 5}) == 5);
  CHECK(length_in_tokens({.completion = "", .max_tokens = 8}) == 0);
  CHECK(length_in_tokens({.completion = ""}) == 0);
  CHECK(length_in_tokens({.completion = "abc"}) == std::nullopt);
}

}  // namespace
}  // namespace zeroth
