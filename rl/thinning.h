// Fewer points of a curve, such that its picture stays the same: each bucket keeps its extremes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace zeroth {

/// The indices to keep, ascending, of curves that share their points: all of them where there are
/// no more than `max_points`; else at most that many, with the first, the last, and for each curve
/// the least and the greatest value of each of equally long buckets. NaN is a gap: it is kept only
/// as the sole content of a bucket. A function of the values alone.
///
/// std::invalid_argument when the curves differ in length or max_points is less than
/// 2 + 2 * curves.size().
std::vector<std::size_t> thinned(std::span<const std::vector<double>> curves,
                                 std::size_t max_points);

}  // namespace zeroth
