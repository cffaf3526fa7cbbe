// What an interval, a union of intervals or an inequality describes.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rewards/math/evaluation.h"
#include "rewards/math/part.h"

namespace zeroth::math {

/// An end that is absent is infinite.
struct Interval {
  std::optional<Part> low, high;
  bool low_closed = false, high_closed = false;
};

/// The numbers that "(a, b]", "(a, b] \\cup [c, d)", "x > a", "a < x <= b", "x != a", "|x| >= a",
/// "1 <= |x| < 2" and "x < a or x > b" (where a < b) describe, where x is a name and the bounds
/// have no symbols; nothing for other parts.
std::optional<std::vector<Interval>> region_of(const Part& part, Arena& arena, Budget& budget);

/// From left to right, with pieces that overlap or meet made one: "[1, 2] \\cup [2, 3]" is [1, 3].
std::vector<Interval> merged(std::vector<Interval> region, Budget& budget);

/// "<" of ">", ">=" of "<=" and so on; "=" and "!=" are their own.
std::string_view reversed(std::string_view relation);

bool is_real_line(const Part& part);

/// Whether a part says of a name where it lies: an inequality or a chain of them.
bool is_inequality(const Part& part);

}  // namespace zeroth::math
