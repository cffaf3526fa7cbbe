// The byte-level alphabet of GPT-2 (Radford et al. 2019, section 2.2): every byte has a printable
// character, so that a vocabulary of byte strings is a JSON object of readable strings. Also the
// little UTF-8 that decoding needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zeroth {

/// The character of `byte` in UTF-8: printable Latin-1 bytes stand for themselves, the others for
/// U+0100 and up in order.
std::string byte_level_character(std::uint8_t byte);

/// The bytes a token of the alphabet stands for; nothing when a character is not in it or the token
/// is not UTF-8.
std::optional<std::string> byte_level_bytes(std::string_view token);

/// `bytes` with everything that is not UTF-8 replaced by U+FFFD, one for each maximal part of a
/// character (Unicode 15, section 3.9, "U+FFFD Substitution of Maximal Subparts"), as Rust's
/// from_utf8_lossy does.
std::string utf8_lossy(std::string_view bytes);

/// How many of the last bytes are the beginning of a character that further bytes may finish: 0 to
/// 3.
std::size_t unfinished_utf8(std::string_view bytes);

/// Offset of the first byte that is not part of a UTF-8 character; npos when there is none.
std::size_t find_invalid_utf8(std::string_view bytes);

}  // namespace zeroth
