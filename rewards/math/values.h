// Compares the values of scalars: numbers, and expressions with symbols.
#pragma once

#include "rewards/math/evaluation.h"
#include "rewards/math/part.h"

namespace zeroth::math {

enum class Verdict {
  same,
  rounded,    // one is a decimal that the other's value rounds to
  different,  // for certain, or not defined
  undecided,  // within the budget
};

/// Two finite scalars. Those without symbols are the same where they are rational and equal, or
/// where they agree to some 600 digits; those with symbols where they agree at three points, as far
/// as they are defined there.
Verdict compare_values(const Part& a, const Part& b, Budget& budget);

/// Whether two numbers, of which one is written as a decimal, are the same once rounded to
/// `decimals` places.
bool rounds_alike(const Part& a, const Part& b, int decimals, Budget& budget);

/// How the differences of the sides of two relations are related.
enum class Multiple { none, positive, negative };

/// Whether left - right of `a` is a constant multiple of that of `b`, neither being 0 everywhere.
Multiple multiple_of(const Part& a, const Part& b, Budget& budget);

}  // namespace zeroth::math
