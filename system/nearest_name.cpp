#include "system/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "system/ascii.h"

namespace zeroth {
namespace {

constexpr std::size_t kMaxBytes = 128;

// The dynamic program keeps three rows: distances of prefixes of `a` one and two bytes shorter, and
// the row being filled. row[j] is the distance of a's prefix to b's first j bytes.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, kMaxBytes);
  b = b.substr(0, kMaxBytes);
  std::vector<std::size_t> two_back(b.size() + 1), one_back(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(two_back, one_back);
    std::swap(one_back, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = to_lower(a[i - 1]) == to_lower(b[j - 1]);
      row[j] = std::min({one_back[j] + 1, row[j - 1] + 1, one_back[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && to_lower(a[i - 1]) == to_lower(b[j - 2]) &&
                           to_lower(a[i - 2]) == to_lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], two_back[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  std::string nearest;
  std::size_t smallest = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::size_t distance = edit_distance(name, candidates[i]);
    if (i == 0 || distance < smallest) {
      smallest = distance;
      nearest = candidates[i];
    }
  }
  return nearest;
}

}  // namespace zeroth
