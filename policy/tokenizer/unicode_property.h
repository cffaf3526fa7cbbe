// \p{…} of Oniguruma: general categories and scripts, as sets in the spelling of PCRE2.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace zeroth {

/// What PCRE2 10.42 must be told to match what Oniguruma 6.9 (Unicode 16) matches: `items` inside
/// brackets, except what `except` matches inside brackets where that is not empty.
struct PropertySet {
  std::string items;
  std::string except;
};

/// Nothing for a name that is no category and no script (or a script that PCRE2 does not know).
std::optional<PropertySet> unicode_property(std::string_view name);

}  // namespace zeroth
