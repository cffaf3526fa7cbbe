// The functions of one complex number that answers are written with, in ball arithmetic.
#pragma once

#include <cstdint>
#include <string_view>

#include "rewards/math/ball.h"

namespace zeroth::math {

/// Exponents of 2 beyond which exponentials, powers and gamma functions are not computed.
inline constexpr std::int64_t kMaxExponentBits = 24;

/// And beyond which other functions are not.
inline constexpr std::int64_t kMaxArgumentBits = 4096;

/// result, argument, bits
using BallFunction = void (*)(acb_struct*, const acb_struct*, slong);

/// Null for a name that is no function of one number.
BallFunction find_ball_function(std::string_view name);

/// Whether it is a meromorphic function, or one with poles only off the ray (-∞, 0]: ln.
bool is_analytic_function(std::string_view name);

/// Whether |x| < 2^bits for certain.
bool is_below(const Ball& x, std::int64_t bits);

/// Whether x and no number near it lies on the cut of logarithms and powers, (-∞, 0].
bool is_off_the_cut(const Ball& x);

/// Whether x holds 0 and is so small that it counts as 0, at a precision of `bits`.
bool counts_as_zero(const acb_struct* x, std::int64_t bits);

}  // namespace zeroth::math
