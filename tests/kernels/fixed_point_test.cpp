#include "kernels/fixed_point.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"

namespace zeroth {
namespace {

using testing::best_context;
using testing::context_of;

constexpr double kUnit = 0x1p-48;

std::vector<std::int64_t> added(const std::vector<float>& x,
                                const Context& context = best_context()) {
  std::vector<std::int64_t> sum(x.size(), 0);
  CHECK(add_fixed_point(context, {.x = x.data(),
                                  .sum = sum.data(),
                                  .n = static_cast<std::int64_t>(x.size()),
                                  .limit = kFixedPointRange}) == -1);
  return sum;
}

TEST_CASE("fixed point: by hand, ties to even", "[kernels]") {
  const std::vector<float> x{0.0F,
                             -0.0F,
                             1.0F,
                             -2.5F,
                             16383.999F,
                             static_cast<float>(kUnit),
                             static_cast<float>(0.5 * kUnit),
                             static_cast<float>(1.5 * kUnit),
                             static_cast<float>(-1.5 * kUnit),
                             static_cast<float>(2.5 * kUnit),
                             static_cast<float>(0.75 * kUnit),
                             1e-30F};
  const std::int64_t one = std::int64_t{1} << 48;
  CHECK(added(x) ==
        std::vector<std::int64_t>{0, 0, one, -5 * one / 2,
                                  static_cast<std::int64_t>(16383.999F * 1024) * (one / 1024), 1, 0,
                                  2, -2, 2, 1, 0});
}

TEST_CASE("fixed point: what it holds of a float is at most half a unit off", "[kernels]") {
  std::vector<float> x = testing::random_floats(20'000, 7, 1.0);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] *= std::ldexp(1.0F, -static_cast<int>(i % 60));  // down to below the unit
  const std::vector<std::int64_t> sum = added(x);
  std::vector<float> back(x.size());
  from_fixed_point(best_context(), sum.data(), static_cast<std::int64_t>(x.size()), back.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double held = static_cast<double>(sum[i]) * kUnit;
    if (std::abs(held - static_cast<double>(x[i])) > kUnit / 2) FAIL("element " << i);
    if (std::abs(x[i]) >= 0x1p-25F && back[i] != x[i]) FAIL("element " << i << " is not exact");
  }
  SUCCEED();
}

TEST_CASE("fixed point: a sum does not depend on its order, one of floats does", "[kernels]") {
  constexpr std::size_t kTerms = 50;
  constexpr std::int64_t kSize = 1000;
  std::vector<std::vector<float>> terms;
  for (std::uint32_t t = 0; t < kTerms; ++t)
    terms.push_back(testing::random_floats(kSize, t, std::exp2(-static_cast<double>(t % 12))));
  const auto sums = [&](const std::vector<std::size_t>& order, std::vector<float>& floats) {
    std::vector<std::int64_t> sum(kSize, 0);
    floats.assign(kSize, 0.0F);
    for (const std::size_t t : order) {
      add_fixed_point(context_of(best_isa(), 2), {.x = terms[t].data(),
                                                  .sum = sum.data(),
                                                  .n = kSize,
                                                  .limit = kFixedPointRange / kTerms});
      for (std::size_t i = 0; i < kSize; ++i) floats[i] += terms[t][i];
    }
    return sum;
  };
  std::vector<std::size_t> order(kTerms);
  for (std::size_t t = 0; t < kTerms; ++t) order[t] = t;
  std::vector<float> floats;
  std::vector<float> shuffled_floats;
  const auto in_order = sums(order, floats);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  CHECK(sums(order, shuffled_floats) == in_order);
  CHECK_FALSE(testing::same_bits(floats, shuffled_floats));  // the control
  std::vector<float> back(kSize);
  from_fixed_point(best_context(), in_order.data(), kSize, back.data());
  for (std::size_t i = 0; i < kSize; ++i) CHECK(back[i] == Approx(floats[i]).margin(1e-5));
}

TEST_CASE("fixed point: threads do not show", "[kernels]") {
  const std::vector<float> x = testing::random_floats(100'000, 3, 100.0);
  CHECK(added(x, context_of(best_isa(), 5)) == added(x));
}

TEST_CASE("fixed point: the first value that does not fit is found", "[kernels]") {
  for (const float bad : {8.0F, -8.0F, 1e30F, std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(), testing::kNan}) {
    std::vector<float> x = testing::random_floats(100'000, 3, 7.9);
    std::vector<std::int64_t> sum(x.size(), 0);
    const auto first = [&](int threads) {
      return add_fixed_point(context_of(best_isa(), threads),
                             {.x = x.data(), .sum = sum.data(), .n = 100'000, .limit = 8.0});
    };
    CHECK(first(1) == -1);
    x[90'000] = bad;
    x[40'001] = bad;
    x[40'000] = bad;
    CHECK(first(1) == 40'000);
    CHECK(first(5) == 40'000);
  }
}

TEST_CASE("fixed point: as many terms as the limit is for do not overflow", "[kernels]") {
  for (const std::int64_t terms : {1, 3, 7, 1000}) {
    const double limit = kFixedPointRange / static_cast<double>(terms);
    const float x = std::nextafter(static_cast<float>(limit), 0.0F);
    std::int64_t sum = 0;
    std::int64_t negative = 0;
    const float minus = -x;
    for (std::int64_t t = 0; t < terms; ++t) {
      REQUIRE(add_fixed_point(best_context(), {.x = &x, .sum = &sum, .n = 1, .limit = limit}) ==
              -1);
      REQUIRE(add_fixed_point(best_context(),
                              {.x = &minus, .sum = &negative, .n = 1, .limit = limit}) == -1);
    }
    CHECK(static_cast<double>(sum) * kUnit == Approx(kFixedPointRange).epsilon(1e-3));
    CHECK(negative == -sum);
  }
}

}  // namespace
}  // namespace zeroth
