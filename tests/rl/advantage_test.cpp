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

std::vector<std::vector<double>> rewards_by_function(const boost::json::object& fixture) {
  std::vector<std::vector<double>> rewards;
  for (const boost::json::value& function : fixture.at("rewards_per_func").as_array())
    rewards.push_back(numbers(function));
  return rewards;
}

std::vector<double> reward_weights(const boost::json::object& fixture) {
  const boost::json::object& config = fixture.at("config").as_object();
  if (config.contains("reward_weights")) return numbers(config.at("reward_weights"));
  return std::vector<double>(fixture.at("rewards_per_func").as_array().size(), 1.0);
}

// The weighted sum over functions of what they gave; NaN where none of them gave anything.
std::vector<double> total_rewards(const boost::json::object& fixture) {
  const std::vector<double> weights = reward_weights(fixture);
  std::vector<double> totals;
  for (std::size_t f = 0; f < weights.size(); ++f) {
    const std::vector<double> rewards = rewards_by_function(fixture)[f];
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

// Two groups of two, two rewards, by hand: within a group of two unequal rewards z is
// +-(d/2) / (d/sqrt(2) + 1e-4) for the difference d.
TEST_CASE("decoupled_advantages: two rewards worked by hand", "[rl]") {
  const auto z = [](double d) { return 0.5 * d / (d / std::sqrt(2.0) + 1e-4); };
  const std::vector<std::vector<double>> rewards = {{1, 0, 0, 0}, {0, 10, 4, 2}};
  const std::vector<double> weights = {1.0, 0.5};
  const std::vector<double> total = {1, 5, 2, 1};
  const double a = z(1) - 0.5 * z(10), b = 0.5 * z(2);
  const double deviation = std::sqrt(2 * (a * a + b * b) / 3) + 1e-4;
  const Advantages result = decoupled_advantages(rewards, weights, total, 2);
  const double expected[] = {a / deviation, -a / deviation, b / deviation, -b / deviation};
  for (std::size_t i = 0; i < 4; ++i) CHECK(result.advantages[i] == Approx(expected[i]));
  CHECK(result.reward_mean == 2.25);
  CHECK(result.frac_reward_zero_std == 0.0);
  // What a sum would do to the first group: the large reward decides alone.
  CHECK(result.advantages[0] > 0.0);
  CHECK(group_advantages(total, 2, ScaleRewards::group).advantages[0] < 0.0);
}

TEST_CASE("decoupled_advantages: the scale of a reward plays no part", "[rl]") {
  std::vector<std::vector<double>> rewards = {{1, 0, 0, 1, 0, 1}, {3, 1, 2, 5, 5, 4}};
  const std::vector<double> weights = {1.0, 1.0};
  const std::vector<double> total(6, 1.0);
  const Advantages before = decoupled_advantages(rewards, weights, total, 3);
  for (double& reward : rewards[1]) reward = 1000 * reward - 7;
  const Advantages after = decoupled_advantages(rewards, weights, total, 3);
  const Advantages weighted =
      decoupled_advantages(rewards, std::vector<double>{1.0, 3.0}, total, 3);
  for (std::size_t i = 0; i < 6; ++i)  // but for the 1e-4 that deviations are given
    CHECK(after.advantages[i] == Approx(before.advantages[i]).margin(1e-3));
  CHECK(std::abs(weighted.advantages[0] - before.advantages[0]) > 0.01);
}

TEST_CASE("decoupled_advantages: what has no score is in no mean", "[rl]") {
  // The third completion is excluded; the second reward does not apply to the last.
  const std::vector<std::vector<double>> rewards = {{1, 0, 50, 0}, {2, 1, 60, kNotScored}};
  const std::vector<double> weights = {1.0, 1.0};
  const std::vector<double> total = {3, 1, kNotScored, 0};
  const Advantages result = decoupled_advantages(rewards, weights, total, 4);
  CHECK(result.advantages[2] == 0.0);
  const double first = 2.0 / 3 / (std::sqrt(1.0 / 3) + 1e-4);
  const double second = 0.5 / (std::sqrt(0.5) + 1e-4);
  const double sums[] = {first + second, -first / 2 - second, -first / 2};
  const double deviation =
      std::sqrt((sums[0] * sums[0] + sums[1] * sums[1] + sums[2] * sums[2]) / 2);
  CHECK(result.advantages[0] == Approx(sums[0] / (deviation + 1e-4)));
  CHECK(result.advantages[1] == Approx(sums[1] / (deviation + 1e-4)));
  CHECK(result.advantages[3] == Approx(sums[2] / (deviation + 1e-4)));
}

TEST_CASE("decoupled_advantages: groups that no reward tells apart are counted", "[rl]") {
  const std::vector<std::vector<double>> rewards = {{1, 1, 0, 0, 1, 1}, {2, 2, 2, 2, 3, 4}};
  const std::vector<double> total = {3, 3, 2, 2, 4, 5};
  const std::vector<double> both = {1.0, 1.0}, first = {1.0, 0.0};
  CHECK(decoupled_advantages(rewards, both, total, 2).frac_reward_zero_std == Approx(2.0 / 3));
  const Advantages result = decoupled_advantages(rewards, first, total, 2);
  CHECK(result.frac_reward_zero_std == 1.0);
  CHECK(result.advantages == std::vector<double>(6, 0.0));
}

TEST_CASE("decoupled_advantages: sizes that differ are refused", "[rl]") {
  const std::vector<std::vector<double>> rewards = {{1, 0}, {1}};
  const std::vector<double> total = {1, 0}, weights = {1, 1};
  CHECK_THROWS_AS(decoupled_advantages(rewards, weights, total, 2), std::invalid_argument);
  CHECK_THROWS_AS(decoupled_advantages(rewards, total, std::vector<double>{1.0}, 1),
                  std::invalid_argument);
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
    if (!scale) {
      unsupported += " " + fixture.name;
      continue;
    }
    const boost::json::value* aggregation = config.if_contains("multi_objective_aggregation");
    const bool decoupled = aggregation != nullptr && *aggregation == "normalize_then_sum";
    const auto num_generations = fixture.json.at("num_generations").to_number<std::int64_t>();
    const std::vector<double> total = total_rewards(fixture.json);
    const Advantages ours =
        decoupled ? decoupled_advantages(rewards_by_function(fixture.json),
                                         reward_weights(fixture.json), total, num_generations)
                  : group_advantages(total, num_generations, *scale);
    const boost::json::object& theirs = fixture.json.at("trl").as_object();
    const std::vector<double> expected = numbers(theirs.at("advantages"));
    REQUIRE(ours.advantages.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(ours.advantages[i] == Approx(expected[i]).margin(2e-6));
    }
    const boost::json::object& metrics = theirs.at("metrics").as_object();
    CHECK(ours.reward_mean == Approx(metrics.at("reward").to_number<double>()).margin(1e-6));
    if (decoupled) continue;  // TRL reports deviations of the normalized sum there
    CHECK(ours.reward_std == Approx(metrics.at("reward_std").to_number<double>()).margin(1e-6));
    CHECK(ours.frac_reward_zero_std ==
          Approx(metrics.at("frac_reward_zero_std").to_number<double>()));
  }
  if (!unsupported.empty()) WARN("not of the three ways to scale:" << unsupported);
}

}  // namespace zeroth
