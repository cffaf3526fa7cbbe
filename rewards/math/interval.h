// What an interval or an inequality describes.
#pragma once

#include <optional>
#include <string_view>

#include "rewards/math/part.h"

namespace zeroth::math {

/// An end that is absent is infinite.
struct Interval {
  std::optional<Part> low, high;
  bool low_closed = false, high_closed = false;
};

/// Of "(a, b]", "x > a" and "a < x <= b", where x is a name and the bounds of an inequality have no
/// symbols; nothing else.
std::optional<Interval> interval_of(const Part& part);

/// "<" of ">", ">=" of "<=" and so on; "=" and "!=" are their own.
std::string_view reversed(std::string_view relation);

}  // namespace zeroth::math
