// Sums whose value does not depend on their order: floats as integers of 2^-48.
//
//   sum[i] += round(x[i] * 2^48), ties to even
//
// Integers add up to the same bits in any order and grouping, over any number of processes. What a
// float below 2^-25 holds beyond 2^-48 is rounded away, once.
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

/// Terms below kFixedPointRange / (number of terms) cannot overflow a sum, which holds 2^15,
/// whatever that quotient is rounded to.
inline constexpr double kFixedPointRange = 16384.0;

struct AddFixedPointArgs {
  const float* x = nullptr;     // [n]
  std::int64_t* sum = nullptr;  // [n]
  std::int64_t n = 0;
  double limit = 0.0;  // every |x[i]| has to be below it; at most kFixedPointRange
};

/// The first i whose x[i] is not below the limit or not finite, with `sum` as good as lost; -1 when
/// all were added.
std::int64_t add_fixed_point(const Context& context, const AddFixedPointArgs& args);

/// x[i] = sum[i] * 2^-48, rounded to nearest.
void from_fixed_point(const Context& context, const std::int64_t* sum, std::int64_t n, float* x);

}  // namespace zeroth
