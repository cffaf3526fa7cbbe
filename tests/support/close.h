// How near a single-precision result must be to a double-precision reference: |actual - expected|
// <= absolute + relative * |expected|, with one table of tolerances for all tests.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <vector>

namespace zeroth::testing {

struct Tolerance {
  double relative;
  double absolute;
};

inline constexpr Tolerance kFloat{1e-5, 1e-5};  // sums of up to a few hundred products of order one
inline constexpr Tolerance kGradient{5e-5, 5e-5};    // a few such sums in a row
inline constexpr Tolerance kBfloat16{0x1p-7, 1e-5};  // one or two roundings to 8 bits

inline bool is_close(double actual, double expected, Tolerance tolerance) {
  return std::abs(actual - expected) <=
         tolerance.absolute + tolerance.relative * std::abs(expected);
}

/// Checks every element and reports the first that is too far away. NaN is too far from everything.
template <class Expected>
void check_close(const std::vector<float>& actual, const std::vector<Expected>& expected,
                 Tolerance tolerance) {
  REQUIRE(actual.size() == expected.size());
  std::size_t first_far = actual.size();
  for (std::size_t i = actual.size(); i-- > 0;) {
    if (!is_close(static_cast<double>(actual[i]), static_cast<double>(expected[i]), tolerance))
      first_far = i;
  }
  if (first_far < actual.size()) {
    INFO("element " << first_far << ": " << actual[first_far] << " against "
                    << expected[first_far]);
    CHECK(first_far == actual.size());
  } else {
    SUCCEED();
  }
}

}  // namespace zeroth::testing
