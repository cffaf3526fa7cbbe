#include "policy/tokenizer/onig_class.h"

#include <array>
#include <cstdio>
#include <optional>

#include "policy/tokenizer/onig_pattern.h"
#include "policy/tokenizer/unicode.h"
#include "policy/tokenizer/unicode_property.h"

namespace zeroth {
namespace {

constexpr std::string_view kAnyCharacter = R"([\x{0}-\x{10FFFF}])";
// White_Space. PCRE2's \s has U+180E besides.
constexpr std::string_view kSpace =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kNotSpace =
    R"(\x{0}-\x{8}\x{E}-\x{1F}\x{21}-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF})"
    R"(\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
// Oniguruma's \w: Alphabetic, M, Nd, Pc, and six signs of Latin-1 that it takes for digits.
constexpr std::string_view kWordBeyondCategories =
    R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169})"
    R"(\x{1F170}-\x{1F189})";

CharacterSet set_of(std::string_view items) {
  CharacterSet set;
  set.add_items(items);
  return set;
}

CharacterSet property(const PatternCursor& cursor, std::string_view name) {
  const std::optional<PropertySet> found = unicode_property(name);
  if (!found) {
    cursor.fail("\\p{" + std::string(name) + "} is none of the categories and scripts supported");
  }
  CharacterSet set = set_of(found->items);
  if (!found->except.empty()) {
    CharacterSet others = set_of(found->except);
    others.negate();
    set.intersect(others);
  }
  return set;
}

CharacterSet word(const PatternCursor& cursor) {
  CharacterSet set = set_of(kWordBeyondCategories);
  for (const char* category : {"L", "M", "Nd", "Pc", "Nl"}) set.add(property(cursor, category));
  return set;
}

CharacterSet read_property(PatternCursor& cursor) {
  const std::size_t end = cursor.text.find('}', cursor.at);
  if (!cursor.take("{") || end == std::string_view::npos) cursor.fail("\\p wants {a name}");
  const bool negated = cursor.take("^");
  CharacterSet set = property(cursor, cursor.text.substr(cursor.at, end - cursor.at));
  if (negated) set.negate();
  cursor.at = end + 1;
  return set;
}

CharacterSet read_posix_set(PatternCursor& cursor) {
  const bool negated = cursor.take("[:^") || !cursor.take("[:");
  const std::size_t end = cursor.text.find(":]", cursor.at);
  if (end == std::string_view::npos) cursor.fail("[: without :]");
  const std::string_view name = cursor.text.substr(cursor.at, end - cursor.at);
  CharacterSet set;
  if (name == "digit") {
    set = property(cursor, "Nd");
  } else if (name == "space") {
    set = set_of(kSpace);
  } else if (name == "punct") {
    set = property(cursor, "P");
    set.add(property(cursor, "S"));
  } else if (name == "xdigit") {
    set = set_of("0-9a-fA-F");
  } else if (name == "word") {
    set = word(cursor);
  } else {
    cursor.fail("[:" + std::string(name.substr(0, 20)) + ":] is not supported");
  }
  if (cursor.ignore_case && name != "space" && name != "xdigit") {
    cursor.fail("a set beyond ASCII where case is ignored is not supported");
  }
  if (negated) set.negate();
  cursor.at = end + 2;
  return set;
}

std::optional<char32_t> hex_number(std::string_view digits) {
  if (digits.empty() || digits.size() > 8) return std::nullopt;
  char32_t value = 0;
  for (const char c : digits) {
    const std::size_t digit = std::string_view("0123456789abcdefABCDEF").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<char32_t>(digit < 16 ? digit : digit - 6);
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return std::nullopt;
  return value;
}

char32_t read_hex(PatternCursor& cursor, char kind) {
  std::string_view digits;
  if (kind == 'x' && cursor.take("{")) {
    const std::size_t end = cursor.text.find('}', cursor.at);
    if (end == std::string_view::npos) cursor.fail("\\x{ without }");
    digits = cursor.text.substr(cursor.at, end - cursor.at);
    cursor.at = end + 1;
  } else {
    digits = cursor.text.substr(cursor.at, kind == 'x' ? 2 : 4);
    cursor.at += digits.size();
    // Oniguruma takes \xE9 for a byte of UTF-8.
    if (kind == 'x' && !digits.empty() && digits[0] > '7') cursor.fail("\\x80 and above want {}");
    if (digits.size() != (kind == 'x' ? 2U : 4U)) digits = {};
  }
  const std::optional<char32_t> value = hex_number(digits);
  if (!value) cursor.fail("a code point in hexadecimal was expected");
  return *value;
}

char32_t read_character(PatternCursor& cursor) {
  if (cursor.take("\\")) return read_escaped_character(cursor);
  const CodePoint c = code_point_at(cursor.text, cursor.at);
  cursor.at += c.size;
  return c.value;
}

/// A character or a range of them.
void read_range(PatternCursor& cursor, CharacterSet& set) {
  const char32_t first = read_character(cursor);
  char32_t last = first;
  const bool range = cursor.next_is("-") && !cursor.next_is("-]") && !cursor.next_is("-&&");
  if (range) {
    cursor.take("-");
    PatternCursor behind = cursor;
    CharacterSet other;
    if (cursor.next_is("[") || (behind.take("\\") && read_escaped_set(behind, other))) {
      cursor.fail("a range cannot end in a set");
    }
    last = read_character(cursor);
    if (last < first) cursor.fail("a range ends before it begins");
  }
  check_case(cursor, first, last);
  set.add_items(character_spelling(first) +
                (range ? "-" + character_spelling(last) : std::string()));
}

/// What stands between the brackets, or between && there.
CharacterSet read_union(PatternCursor& cursor) {
  CharacterSet set;
  bool empty = true;
  while (!cursor.ends() && !cursor.next_is("]") && !cursor.next_is("&&")) {
    PatternCursor escaped = cursor;
    CharacterSet part;
    if (cursor.next_is("[:")) {
      set.add(read_posix_set(cursor));
    } else if (cursor.next_is("[")) {
      set.add(read_bracketed_set(cursor));
    } else if (escaped.take("\\") && read_escaped_set(escaped, part)) {
      cursor = escaped;
      set.add(part);
      if (cursor.next_is("-") && !cursor.next_is("-]")) cursor.fail("a range begins in a set");
    } else {
      read_range(cursor, set);
    }
    empty = false;
  }
  if (empty) cursor.fail("an empty set is not supported");
  return set;
}

}  // namespace

void PatternCursor::fail(const std::string& reason) const {
  throw PatternError(reason + " (byte " + std::to_string(at) + ")");
}

void CharacterSet::add(const CharacterSet& other) {
  items_ += other.items_;
  if (other.is_simple()) return;
  others_ += (others_.empty() ? "" : "|") + other.others_;
}

void CharacterSet::negate() {
  others_ =
      is_simple() ? "[^" + items_ + "]" : "(?!" + spelling() + ")" + std::string(kAnyCharacter);
  items_.clear();
}

void CharacterSet::intersect(const CharacterSet& other) {
  others_ = "(?=" + spelling() + ")" + other.spelling();
  items_.clear();
}

std::string CharacterSet::spelling() const {
  if (is_simple()) return "[" + items_ + "]";
  if (items_.empty() && others_.starts_with("[^") && others_.find('|') == std::string::npos) {
    return others_;
  }
  return "(?:" + (items_.empty() ? "" : "[" + items_ + "]|") + others_ + ")";
}

CharacterSet read_bracketed_set(PatternCursor& cursor) {
  constexpr std::size_t kDeepest = 1000;
  const std::size_t begin = cursor.at;
  cursor.take("[");
  if (static_cast<std::size_t>(cursor.depth) > kDeepest) cursor.fail("too many sets within sets");
  ++cursor.depth;
  const bool negated = cursor.take("^");
  if (cursor.next_is("]")) cursor.fail("a set that is empty or begins with ] is not supported");
  CharacterSet set = read_union(cursor);
  while (cursor.take("&&")) set.intersect(read_union(cursor));
  if (!cursor.take("]")) {
    cursor.at = begin;
    cursor.fail("a set without ]");
  }
  --cursor.depth;
  if (negated) set.negate();
  return set;
}

bool read_escaped_set(PatternCursor& cursor, CharacterSet& set) {
  if (cursor.ends()) return false;
  const char kind = cursor.text[cursor.at];
  if (std::string_view("dDwWsShHpP").find(kind) == std::string_view::npos) return false;
  if (cursor.ignore_case && std::string_view("sSdh").find(kind) == std::string_view::npos) {
    cursor.fail("a set beyond ASCII where case is ignored is not supported");
  }
  ++cursor.at;
  switch (kind) {
    case 's':
      set = set_of(kSpace);
      return true;
    case 'S':
      set = set_of(kNotSpace);
      return true;
    case 'd':
    case 'D':
      set = property(cursor, "Nd");
      break;
    case 'w':
    case 'W':
      set = word(cursor);
      break;
    case 'h':
    case 'H':
      set = set_of("0-9a-fA-F");
      break;
    default:
      set = read_property(cursor);
  }
  if (kind == 'D' || kind == 'W' || kind == 'H' || kind == 'P') set.negate();
  return true;
}

char32_t read_escaped_character(PatternCursor& cursor) {
  if (cursor.ends()) cursor.fail("a backslash at the end");
  const CodePoint c = code_point_at(cursor.text, cursor.at);
  cursor.at += c.size;
  switch (c.value) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case 'a':
      return '\a';
    case 'e':
      return 0x1B;
    case 'x':
    case 'u':
      return read_hex(cursor, static_cast<char>(c.value));
    default:
      break;
  }
  const bool letter_or_digit = c.value < 0x80 && is_word(c.value) && c.value != '_';
  if (letter_or_digit || c.value >= 0x80) {
    cursor.fail("\\" + std::string(cursor.text.substr(cursor.at - c.size, c.size)) +
                " is not supported");
  }
  return c.value;
}

std::string character_spelling(char32_t c) {
  if (c < 0x80 && is_word(c)) return {static_cast<char>(c)};
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "\\x{%X}", static_cast<unsigned>(c));
  return text.data();
}

void check_case(const PatternCursor& cursor, char32_t first, char32_t last) {
  if (cursor.ignore_case && (first >= 0x80 || last >= 0x80)) {
    cursor.fail("characters beyond ASCII where case is ignored are not supported");
  }
}

}  // namespace zeroth
