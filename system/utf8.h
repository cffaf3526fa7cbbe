// Characters of UTF-8 (Unicode 15, section 3.9), in bytes that may be none.
#pragma once

#include <cstddef>
#include <string_view>

namespace zeroth {

/// Bytes of the well-formed character that `text` begins with (table 3-7): 1 to 4; 0 when it begins
/// with none or is empty.
std::size_t utf8_bytes(std::string_view text);

/// The first `size` bytes of `text`, or fewer where they would end inside a character.
std::string_view utf8_prefix(std::string_view text, std::size_t size);

}  // namespace zeroth
