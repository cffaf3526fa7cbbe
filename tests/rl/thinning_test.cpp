#include "rl/thinning.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

namespace zeroth {
namespace {

using Indices = std::vector<std::size_t>;
const double kNaN = std::numeric_limits<double>::quiet_NaN();

Indices thin(const std::vector<double>& curve, std::size_t max_points) {
  return thinned(std::vector<std::vector<double>>{curve}, max_points);
}

// A random walk with a lone spike up and one down.
std::vector<double> noisy(std::uint32_t seed, std::size_t size) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> curve(size);
  double at = 0;
  for (double& value : curve) value = at += normal(random);
  curve[random() % size] = 1e4;
  curve[random() % size] = -1e4;
  return curve;
}

}  // namespace

TEST_CASE("thinned: a few points are all kept", "[rl]") {
  CHECK(thin({}, 4).empty());
  CHECK(thin({3, 1, 2, 5}, 4) == Indices{0, 1, 2, 3});
}

TEST_CASE("thinned: by hand, two buckets of four", "[rl]") {
  //                                 |   bucket   |    bucket    |
  const std::vector<double> curve = {5, 1, 2, 9, 1, 4, 4, 4, kNaN, 0};
  CHECK(thin(curve, 6) == Indices{0, 1, 3, 5, 9});  // the first of equal ones
}

TEST_CASE("thinned: a bucket of gaps keeps one", "[rl]") {
  const std::vector<double> curve = {5, kNaN, kNaN, 1, 2, 7};
  CHECK(thin(curve, 5) == Indices{0, 3, 4, 5});
  CHECK(thin({5, kNaN, kNaN, kNaN, kNaN, 7}, 4) == Indices{0, 1, 5});
}

TEST_CASE("thinned: the first, the last, the least and the greatest stay, and it is bounded",
          "[rl]") {
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    const std::size_t size = 1000 + 37 * seed;
    const std::vector<std::vector<double>> curves = {noisy(seed, size), noisy(seed + 100, size),
                                                     noisy(seed + 200, size)};
    const Indices kept = thinned(curves, 120);
    CHECK(kept.size() <= 120);
    CHECK(kept.size() > 40);
    CHECK(std::is_sorted(kept.begin(), kept.end()));
    CHECK(std::adjacent_find(kept.begin(), kept.end()) == kept.end());
    CHECK(kept.front() == 0);
    CHECK(kept.back() == size - 1);
    for (const std::vector<double>& curve : curves) {
      const auto has = [&](double value) {
        return std::any_of(kept.begin(), kept.end(),
                           [&](std::size_t i) { return curve[i] == value; });
      };
      CHECK(has(*std::min_element(curve.begin(), curve.end())));
      CHECK(has(*std::max_element(curve.begin(), curve.end())));
    }
    CHECK(thinned(curves, 120) == kept);
  }
}

TEST_CASE("thinned: points at equal distances would lose the spikes", "[rl]") {
  int lost = 0;
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    const std::vector<double> curve = noisy(seed, 1000);
    double most = -1e9;
    for (std::size_t i = 0; i < curve.size(); i += 10) most = std::max(most, curve[i]);
    lost += most < 1e4 ? 1 : 0;
  }
  CHECK(lost > 25);
}

TEST_CASE("thinned: misuse is refused", "[rl]") {
  CHECK_THROWS_AS(thin({1, 2, 3}, 3), std::invalid_argument);
  CHECK_THROWS_AS(thinned(std::vector<std::vector<double>>{{1, 2}, {1}}, 100),
                  std::invalid_argument);
}

}  // namespace zeroth
