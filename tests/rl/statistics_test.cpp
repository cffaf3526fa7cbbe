#include "rl/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace zeroth {
namespace {

double binomial(int n, int k) {
  double result = 1.0;
  for (int i = 1; i <= k; ++i) result = result * (n - k + i) / i;
  return result;
}

std::vector<double> alternating(int ones, int zeros) {
  std::vector<double> values(static_cast<std::size_t>(ones), 1.0);
  values.resize(static_cast<std::size_t>(ones + zeros), 0.0);
  return values;
}

}  // namespace

TEST_CASE("pass_at_k: equals the quotient of binomials", "[rl]") {
  for (int n = 1; n <= 12; ++n) {
    for (int c = 0; c <= n; ++c) {
      for (int k = 1; k <= n; ++k) {
        const double expected = n - c < k ? 1.0 : 1.0 - binomial(n - c, k) / binomial(n, k);
        CHECK(pass_at_k(n, c, k) == Approx(expected).margin(1e-12));
      }
    }
  }
}

TEST_CASE("pass_at_k: for k = 1 it is the share of right samples", "[rl]") {
  CHECK(pass_at_k(100, 37, 1) == Approx(0.37).epsilon(1e-14));
  CHECK(pass_at_k(100, 0, 100) == 0.0);
  CHECK(pass_at_k(100, 1, 100) == 1.0);
}

TEST_CASE("pass_at_k: impossible counts are refused", "[rl]") {
  CHECK_THROWS_AS(pass_at_k(4, 5, 1), std::invalid_argument);
  CHECK_THROWS_AS(pass_at_k(4, -1, 1), std::invalid_argument);
  CHECK_THROWS_AS(pass_at_k(4, 1, 5), std::invalid_argument);
  CHECK_THROWS_AS(pass_at_k(4, 1, 0), std::invalid_argument);
}

TEST_CASE("majority_vote: the most frequent answer, the earliest of a tie", "[rl]") {
  using Answers = std::vector<std::string>;
  CHECK(majority_vote(Answers{"3", "5", "5"}) == 1u);
  CHECK(majority_vote(Answers{"7", "5", "5", "7", "1"}) == 0u);
  CHECK(majority_vote(Answers{"1", "5", "7", "7", "5"}) == 1u);
  CHECK(majority_vote(Answers{"", "", "", "9"}) == 3u);
  CHECK_FALSE(majority_vote(Answers{"", ""}).has_value());
  CHECK_FALSE(majority_vote(Answers{}).has_value());
}

TEST_CASE("bootstrap_mean: the interval has the width of the normal one", "[rl]") {
  const std::vector<double> values = alternating(300, 300);
  const MeanInterval interval = bootstrap_mean(values, 1);
  const double half_width = 1.96 * std::sqrt(0.25 / 600);
  CHECK(interval.mean == 0.5);
  CHECK(interval.low == Approx(0.5 - half_width).margin(0.005));
  CHECK(interval.high == Approx(0.5 + half_width).margin(0.005));
}

TEST_CASE("bootstrap_mean: a function of values and seed", "[rl]") {
  const std::vector<double> values = {0.1, 0.9, 0.4, 0.7, 0.2, 0.35, 0.6};
  const MeanInterval first = bootstrap_mean(values, 7);
  const MeanInterval again = bootstrap_mean(values, 7);
  const MeanInterval other = bootstrap_mean(values, 8);
  CHECK(first.low == again.low);
  CHECK(first.high == again.high);
  CHECK((first.low != other.low || first.high != other.high));
  CHECK(first.low < first.mean);
  CHECK(first.high > first.mean);
}

TEST_CASE("bootstrap_mean: equal values have no spread", "[rl]") {
  const MeanInterval interval = bootstrap_mean(std::vector<double>(5, 0.25), 3, 10);
  CHECK(interval.low == 0.25);
  CHECK(interval.high == 0.25);
  CHECK_THROWS_AS(bootstrap_mean({}, 3), std::invalid_argument);
  CHECK_THROWS_AS(bootstrap_mean(std::vector<double>{1.0}, 3, 0), std::invalid_argument);
}

}  // namespace zeroth
