#include "policy/byte_level.h"

#include <array>

namespace zeroth {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

std::string encode_utf8(std::uint32_t code_point) {  // below U+0800
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0U | code_point >> 6U),
          static_cast<char>(0x80U | (code_point & 0x3FU))};
}

const std::array<std::string, 256>& characters() {
  static const auto table = [] {
    std::array<std::string, 256> made;
    std::uint32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      made[static_cast<std::size_t>(byte)] =
          encode_utf8(stands_for_itself(byte) ? static_cast<std::uint32_t>(byte) : next++);
    }
    return made;
  }();
  return table;
}

struct Character {
  std::size_t size;  // of the character, or of the maximal part of one that must be replaced
  bool valid;
};

/// Reads one character at the begin of `bytes`, not empty: Unicode 15, table 3-7.
Character read_utf8(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::uint8_t lead = at(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  std::uint8_t low = 0x80, high = 0xBF;  // bounds of the second byte
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < size; ++i) {
    if (i >= bytes.size() || at(i) < low || at(i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {size, true};
}

}  // namespace

std::string byte_level_character(std::uint8_t byte) {
  return characters()[byte];
}

std::optional<std::string> byte_level_bytes(std::string_view token) {
  constexpr std::size_t kEnd = 0x144;  // behind the last character of the alphabet
  static const auto byte_of = [] {
    std::array<std::int16_t, kEnd> made;
    made.fill(-1);
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::string& c = characters()[byte];
      const auto first = static_cast<std::uint8_t>(c[0]);
      made[c.size() == 1 ? first
                         : (first & 0x1FU) << 6U | (static_cast<std::uint8_t>(c[1]) & 0x3FU)] =
          static_cast<std::int16_t>(byte);
    }
    return made;
  }();
  std::string bytes;
  while (!token.empty()) {
    const Character character = read_utf8(token);
    if (!character.valid || character.size > 2) return std::nullopt;
    const auto first = static_cast<std::uint8_t>(token[0]);
    const std::size_t code_point =
        character.size == 1 ? first
                            : (first & 0x1FU) << 6U | (static_cast<std::uint8_t>(token[1]) & 0x3FU);
    if (code_point >= kEnd || byte_of[code_point] < 0) return std::nullopt;
    bytes += static_cast<char>(byte_of[code_point]);
    token.remove_prefix(character.size);
  }
  return bytes;
}

std::string utf8_lossy(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const Character character = read_utf8(bytes);
    text += character.valid ? bytes.substr(0, character.size) : kReplacement;
    bytes.remove_prefix(character.size);
  }
  return text;
}

std::size_t unfinished_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Character character = read_utf8(bytes);
    const bool at_end = character.size == bytes.size();
    // A part of a character that ends where the bytes end has only not been refuted yet, unless its
    // first byte is one that begins none.
    if (at_end && !character.valid) {
      const auto lead = static_cast<std::uint8_t>(bytes[0]);
      return lead >= 0xC2 && lead <= 0xF4 ? bytes.size() : 0;
    }
    bytes.remove_prefix(character.size);
  }
  return 0;
}

std::size_t find_invalid_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const Character character = read_utf8(bytes.substr(at));
    if (!character.valid) return at;
    at += character.size;
  }
  return std::string_view::npos;
}

}  // namespace zeroth
