#include "rl/thinning.h"

#include <cmath>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>

namespace zeroth {
namespace {

// Adds where `curve` is least and where it is greatest in [begin, end), the first of equal ones.
void add_extremes(const std::vector<double>& curve, std::size_t begin, std::size_t end,
                  std::set<std::size_t>& kept) {
  std::optional<std::size_t> least;
  std::optional<std::size_t> greatest;
  for (std::size_t i = begin; i < end; ++i) {
    if (std::isnan(curve[i])) continue;
    if (!least || curve[i] < curve[*least]) least = i;
    if (!greatest || curve[i] > curve[*greatest]) greatest = i;
  }
  kept.insert(least.value_or(begin));
  kept.insert(greatest.value_or(begin));
}

}  // namespace

std::vector<std::size_t> thinned(std::span<const std::vector<double>> curves,
                                 std::size_t max_points) {
  if (max_points < 2 + 2 * curves.size()) throw std::invalid_argument("thinned: too few points");
  const std::size_t size = curves.empty() ? 0 : curves[0].size();
  for (const std::vector<double>& curve : curves) {
    if (curve.size() != size) throw std::invalid_argument("thinned: curves of other lengths");
  }
  if (size <= max_points) {
    std::vector<std::size_t> all(size);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }
  const std::size_t buckets = (max_points - 2) / (2 * curves.size());
  const std::size_t inner = size - 2;  // the first and the last stand by themselves
  std::set<std::size_t> kept = {0, size - 1};
  for (std::size_t b = 0; b < buckets; ++b) {
    const std::size_t begin = 1 + b * inner / buckets;
    const std::size_t end = 1 + (b + 1) * inner / buckets;
    for (const std::vector<double>& curve : curves) add_extremes(curve, begin, end, kept);
  }
  return {kept.begin(), kept.end()};
}

}  // namespace zeroth
