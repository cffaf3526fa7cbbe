#include "rewards/reward.h"

#include <catch2/catch.hpp>

#include "system/error.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

RewardErrorPolicy parsed(const std::string& text) {
  return parse_reward_error_policy(text, "recipe.toml", "reward_on_error");
}

TEST_CASE("reward: what a run does about failures is stop, exclude or a score", "[rewards]") {
  CHECK(parsed("stop").action == OnRewardError::stop);
  CHECK(parsed("exclude").action == OnRewardError::exclude);
  for (const double score : {0.0, -1.0, 0.25, 1e-3}) {
    INFO(score);
    const RewardErrorPolicy policy = parsed(std::to_string(score));
    CHECK(policy.action == OnRewardError::score);
    CHECK(policy.score == score);
    CHECK(parsed(reward_error_policy_name(policy)).score == score);
  }
  CHECK(reward_error_policy_name(parsed("-0.50")) == "-0.5");
  CHECK(reward_error_policy_name(parsed("stop")) == "stop");
  CHECK(reward_error_policy_name(parsed("exclude")) == "exclude");
}

TEST_CASE("reward: any other word is refused by name", "[rewards]") {
  for (const std::string text : {"", "zero", "nan", "inf", "-inf", "1x", " 1", "1e999", "Stop"}) {
    INFO(text);
    CHECK_THROWS_WITH(parsed(text), Contains("recipe.toml: reward_on_error: expected stop, "
                                             "exclude, or a finite number") &&
                                        Contains((text.empty() ? "" : "got " + text)));
  }
}

}  // namespace
}  // namespace zeroth
