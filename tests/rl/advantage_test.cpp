#include "rl/advantage.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tests/rl/fixtures.h"

namespace zeroth {
namespace {

const double kNotScored = std::numeric_limits<double>::quiet_NaN();

std::optional<ScaleRewards> scale_rewards_of(const boost::json::object& config) {
  const boost::json::value* value = config.if_contains("scale_rewards");
  if (value == nullptr || *value == "group") return ScaleRewards::group;
  if (*value == "batch") return ScaleRewards::batch;
  if (*value == "none") return ScaleRewards::none;
  return std::nullopt;
}

// The weighted sum over functions of what they gave; NaN where none of them gave anything.
std::vector<double> total_rewards(const boost::json::object& fixture) {
  const boost::json::array& functions = fixture.at("rewards_per_func").as_array();
  const boost::json::object& config = fixture.at("config").as_object();
  std::vector<double> weights(functions.size(), 1.0);
  if (config.contains("reward_weights")) weights = numbers(config.at("reward_weights"));
  std::vector<double> totals;
  for (std::size_t f = 0; f < functions.size(); ++f) {
    const std::vector<double> rewards = numbers(functions[f]);
    totals.resize(rewards.size(), kNotScored);
    for (std::size_t i = 0; i < rewards.size(); ++i) {
      if (std::isnan(rewards[i])) continue;
      totals[i] = (std::isnan(totals[i]) ? 0.0 : totals[i]) + weights[f] * rewards[i];
    }
  }
  return totals;
}

}  // namespace

TEST_CASE("group_advantages: a group worked by hand", "[rl]") {
  const std::vector<double> rewards = {1, 0, 0, 1};
  const double deviation = std::sqrt(4 * 0.25 / 3);
  const Advantages result = group_advantages(rewards, 4, ScaleRewards::group);
  CHECK(result.advantages[0] == Approx(0.5 / (deviation + 1e-4)).epsilon(1e-14));
  CHECK(result.advantages[1] == Approx(-0.5 / (deviation + 1e-4)).epsilon(1e-14));
  CHECK(result.reward_mean == 0.5);
  CHECK(result.reward_std == Approx(deviation));
  CHECK(result.frac_reward_zero_std == 0.0);
  CHECK(group_advantages(rewards, 4, ScaleRewards::none).advantages ==
        std::vector<double>{0.5, -0.5, -0.5, 0.5});
}

TEST_CASE("group_advantages: equal rewards give advantages of exactly 0", "[rl]") {
  const std::vector<double> rewards(7, 0.1);
  for (const auto scale : {ScaleRewards::group, ScaleRewards::batch, ScaleRewards::none}) {
    const Advantages result = group_advantages(rewards, 7, scale);
    CHECK(result.advantages == std::vector<double>(7, 0.0));
    CHECK(result.frac_reward_zero_std == 1.0);
  }
}

TEST_CASE("group_advantages: a group does not see the others unless the batch scales", "[rl]") {
  const std::vector<double> both = {0.3, -1.2, 2.5, 5.0, 5.5, 4.0};
  const std::vector<double> second = {5.0, 5.5, 4.0};
  const auto of_both = group_advantages(both, 3, ScaleRewards::group).advantages;
  const auto of_second = group_advantages(second, 3, ScaleRewards::group).advantages;
  CHECK(std::vector<double>(of_both.begin() + 3, of_both.end()) == of_second);
  const auto by_batch = group_advantages(both, 3, ScaleRewards::batch).advantages;
  CHECK(by_batch[3] != of_both[3]);
}

TEST_CASE("group_advantages: a completion without a reward changes nobody's advantage", "[rl]") {
  const std::vector<double> rewards = {1, kNotScored, 0, 1};
  const auto with_gap = group_advantages(rewards, 4, ScaleRewards::group);
  const std::vector<double> scored = {1, 0, 1};
  const auto without = group_advantages(scored, 3, ScaleRewards::group);
  CHECK(with_gap.advantages[1] == 0.0);
  CHECK(with_gap.advantages[0] == without.advantages[0]);
  CHECK(with_gap.advantages[2] == without.advantages[1]);
  CHECK(with_gap.reward_mean == without.reward_mean);
}

TEST_CASE("group_advantages: one completion a group has nothing to be compared with", "[rl]") {
  const Advantages result = group_advantages(std::vector<double>{3.0, 5.0}, 1, ScaleRewards::group);
  CHECK(result.advantages == std::vector<double>{0.0, 0.0});
  CHECK(result.frac_reward_zero_std == 1.0);
}

TEST_CASE("group_advantages: an empty batch and misuse", "[rl]") {
  CHECK(group_advantages({}, 4, ScaleRewards::group).advantages.empty());
  const std::vector<double> rewards = {1, 2, 3};
  CHECK_THROWS_AS(group_advantages(rewards, 2, ScaleRewards::group), std::invalid_argument);
  CHECK_THROWS_AS(group_advantages(rewards, 0, ScaleRewards::group), std::invalid_argument);
  const std::vector<double> infinite = {1, std::numeric_limits<double>::infinity()};
  CHECK_THROWS_AS(group_advantages(infinite, 2, ScaleRewards::group), std::invalid_argument);
}

TEST_CASE("group_advantages: agrees with TRL's recorded advantages", "[rl][fixtures]") {
  const std::vector<Fixture> fixtures = read_grpo_fixtures("adv_");
  if (fixtures.empty()) {
    WARN("skipped: no grpo/adv_*.json under ZEROTH_FIXTURES");
    return;
  }
  std::string unsupported;
  for (const Fixture& fixture : fixtures) {
    INFO(fixture.name);
    const boost::json::object& config = fixture.json.at("config").as_object();
    const std::optional<ScaleRewards> scale = scale_rewards_of(config);
    const boost::json::value* aggregation = config.if_contains("multi_objective_aggregation");
    if (!scale || (aggregation != nullptr && *aggregation != "sum_then_normalize")) {
      unsupported += " " + fixture.name;
      continue;
    }
    const auto num_generations = fixture.json.at("num_generations").to_number<std::int64_t>();
    const Advantages ours = group_advantages(total_rewards(fixture.json), num_generations, *scale);
    const boost::json::object& theirs = fixture.json.at("trl").as_object();
    const std::vector<double> expected = numbers(theirs.at("advantages"));
    REQUIRE(ours.advantages.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(ours.advantages[i] == Approx(expected[i]).margin(2e-6));
    }
    const boost::json::object& metrics = theirs.at("metrics").as_object();
    CHECK(ours.reward_mean == Approx(metrics.at("reward").to_number<double>()).margin(1e-6));
    CHECK(ours.reward_std == Approx(metrics.at("reward_std").to_number<double>()).margin(1e-6));
    CHECK(ours.frac_reward_zero_std ==
          Approx(metrics.at("frac_reward_zero_std").to_number<double>()));
  }
  if (!unsupported.empty()) WARN("normalize_then_sum is not supported:" << unsupported);
}

}  // namespace zeroth
