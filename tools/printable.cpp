#include "tools/printable.h"

#include <cstddef>
#include <cstdint>

#include "system/utf8.h"

namespace zeroth {
namespace {

constexpr std::uint8_t byte_of(char character) {
  return static_cast<std::uint8_t>(character);
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
    const std::size_t size = utf8_bytes(text);
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
