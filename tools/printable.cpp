#include "tools/printable.h"

#include <cstddef>
#include <cstdint>

namespace zeroth {
namespace {

constexpr std::uint8_t byte_of(char character) {
  return static_cast<std::uint8_t>(character);
}

// Bytes of the UTF-8 character that `text` begins with (RFC 3629); 0 when it begins with none.
std::size_t character_bytes(std::string_view text) {
  const std::uint8_t first = byte_of(text[0]);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte_of(text[i]) & 0xC0U) != 0x80U) return 0;
  const std::uint8_t second = byte_of(text[1]);
  const bool too_long = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second > 0x9F;
  const bool too_large = first == 0xF4 && second > 0x8F;
  return too_long || surrogate || too_large ? 0 : size;
}

bool is_control(std::string_view character) {
  const std::uint8_t first = byte_of(character[0]);
  return first < 0x20 || first == 0x7F || (first == 0xC2 && byte_of(character[1]) < 0xA0);
}

}  // namespace

std::string printable(std::string_view text, std::string_view kept) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    const std::string_view next = text.substr(0, size == 0 ? 1 : size);
    const bool stays = size > 0 && (!is_control(next) || kept.find(next) != std::string_view::npos);
    if (stays) {
      out += next;
    } else {
      for (const char c : next)
        (out += "\\x").append({kDigits[byte_of(c) >> 4U], kDigits[byte_of(c) & 15U]});
    }
    text.remove_prefix(next.size());
  }
  return out;
}

}  // namespace zeroth
