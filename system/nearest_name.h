// The closest known name to a misspelt one, for error messages ("unknown reward acuracy; nearest is
// accuracy").
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace zeroth {

/// The candidate with the smallest edit distance to `name`, the first one on a tie; "" when there
/// are none. The distance counts insertions, deletions, substitutions and swaps of neighbouring
/// bytes, each byte edited at most once (Damerau 1964, restricted form), without regard to ASCII
/// case. Only the first 128 bytes of a name count, so the cost is bounded for any input.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace zeroth
