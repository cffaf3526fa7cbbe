#include "rl/statistics.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
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

TEST_CASE("pass_at_k: is the share of all subsets with a right sample", "[rl]") {
  constexpr unsigned kSamples = 9;
  for (unsigned right = 0; right < (1U << kSamples); right += 37) {  // bit i: sample i is right
    for (unsigned k = 1; k <= kSamples; ++k) {
      int subsets = 0, hits = 0;
      for (unsigned subset = 0; subset < (1U << kSamples); ++subset) {
        if (static_cast<unsigned>(std::popcount(subset)) != k) continue;
        ++subsets;
        hits += (subset & right) != 0 ? 1 : 0;
      }
      CHECK(pass_at_k(kSamples, std::popcount(right), k) ==
            Approx(static_cast<double>(hits) / subsets).margin(1e-12));
    }
  }
}

TEST_CASE("pass_at_k: stays accurate where binomials overflow", "[rl]") {
  // 1 - C(n - 1, k) / C(n, k) = k / n
  CHECK(pass_at_k(100000, 1, 40000) == Approx(0.4).epsilon(1e-12));
  // 1 - C(n - 2, k) / C(n, k) = 1 - (n - k)(n - k - 1) / (n (n - 1))
  CHECK(pass_at_k(100000, 2, 50000) == Approx(1.0 - 0.5 * 49999.0 / 99999.0).epsilon(1e-12));
}

TEST_CASE("majority_is_right: by any sample that gave the winning answer", "[rl]") {
  using Answers = std::vector<std::string>;
  using Marks = std::vector<double>;
  CHECK(majority_is_right(Answers{"5", "5", "3"}, Marks{0, 1, 0}));
  CHECK_FALSE(majority_is_right(Answers{"5", "5", "3"}, Marks{0, 0, 1}));
  CHECK_FALSE(majority_is_right(Answers{"", ""}, Marks{1, 1}));
}

TEST_CASE("majority_at_k: the mean over runs of k, by hand", "[rl]") {
  const std::vector<std::string> answers = {"1", "2", "2", "1", "1", "2", "1"};
  const std::vector<double> right = {1, 0, 0, 1, 1, 0, 1};  // "1" is right
  CHECK(majority_at_k(answers, right, 1) == Approx(4.0 / 7));
  CHECK(majority_at_k(answers, right, 2) == Approx(2.0 / 3));  // 12 right by order, 21 wrong, 12
  CHECK(majority_at_k(answers, right, 3) == Approx(1.0 / 2));  // 122 wrong, 112 right
  CHECK(majority_at_k(answers, right, 4) == 1.0);              // 1221: a tie, "1" came first
  CHECK(majority_at_k(answers, right, 7) == 1.0);
  CHECK_THROWS_AS(majority_at_k(answers, right, 0), std::invalid_argument);
  CHECK_THROWS_AS(majority_at_k(answers, right, 8), std::invalid_argument);
  CHECK_THROWS_AS(majority_at_k(answers, std::vector<double>{1}, 1), std::invalid_argument);
}

TEST_CASE("majority_at_k: its mean does not depend on how many samples there are", "[rl]") {
  // A sample is right with 0.6, else gives one of two wrong answers. The majority of three is right
  // when two or three are, or when all three differ and the right one came first: 0.648 + 6 * 0.6 *
  // 0.2 * 0.2 / 3.
  const double expected = 0.648 + 0.048;
  std::mt19937 random(5);
  for (const std::size_t n : {3U, 4U, 10U, 31U}) {
    double sum = 0.0;
    constexpr int kRounds = 20000;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<std::string> answers;
      std::vector<double> right;
      for (std::size_t i = 0; i < n; ++i) {
        const auto draw = random() % 10;
        answers.push_back(draw < 6 ? "right" : draw < 8 ? "a" : "b");
        right.push_back(draw < 6 ? 1.0 : 0.0);
      }
      sum += majority_at_k(answers, right, 3);
    }
    CHECK(sum / kRounds == Approx(expected).margin(0.013));  // four standard errors at n = 3
  }
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

// In how many of 500 data sets of 60 shares with the mean 0.3 the interval holds `mean`.
int times_covered(double mean) {
  std::mt19937 random(11);
  int covered = 0;
  for (std::uint64_t round = 0; round < 500; ++round) {
    std::vector<double> values;
    for (int i = 0; i < 60; ++i) {
      int right = 0;  // of four samples, of a problem that is hard or easy
      const unsigned chance = random() % 2 == 0 ? 1 : 5;
      for (int sample = 0; sample < 4; ++sample) right += random() % 10 < chance ? 1 : 0;
      values.push_back(right / 4.0);
    }
    const MeanInterval interval = bootstrap_mean(values, round, 400);
    covered += interval.low <= mean && mean <= interval.high ? 1 : 0;
  }
  return covered;
}

TEST_CASE("bootstrap_mean: the interval holds the true mean 95 times in 100", "[rl]") {
  const int covered = times_covered(0.3);
  CHECK(covered >= 460);  // 475 expected with a standard deviation of 4.9; percentile intervals
  CHECK(covered <= 490);  // of 60 values are a little narrow
}

TEST_CASE("bootstrap_mean: control: it does not hold another mean as often", "[rl]") {
  CHECK(times_covered(0.37) < 350);
}

TEST_CASE("paired_difference: by hand, and narrower than two intervals apart", "[rl]") {
  CHECK(paired_difference(std::vector<double>{1, 0.5}, std::vector<double>{0.25, 0.25}, 1).mean ==
        Approx(0.5));
  // Problems are easy or hard for both, and a is right once more on every other problem.
  std::vector<double> a, b;
  for (int i = 0; i < 200; ++i) {
    b.push_back(i % 4 < 2 ? 0.1 : 0.8);
    a.push_back(b.back() + (i % 2 == 0 ? 0.1 : 0.0));
  }
  const MeanInterval difference = paired_difference(a, b, 3);
  CHECK(difference.mean == Approx(0.05));
  CHECK(difference.low > 0.04);
  CHECK(difference.high < 0.06);
  CHECK(bootstrap_mean(a, 3).low < bootstrap_mean(b, 3).high);  // apart nothing could be told
  const MeanInterval none = paired_difference(b, b, 3);
  CHECK(none.low == 0.0);
  CHECK(none.high == 0.0);
  const MeanInterval turned = paired_difference(b, a, 3);
  CHECK(turned.low == Approx(-difference.high));
  CHECK_THROWS_AS(paired_difference(a, std::vector<double>{1}, 3), std::invalid_argument);
}

}  // namespace zeroth
