#include "rewards/answers/characters.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

namespace zeroth {
namespace {

std::string_view script_name(char32_t c) {
  const auto script = script_of(c);
  return script ? script_names()[*script] : std::string_view();
}

TEST_CASE("characters: a text is taken apart, and bytes that are none are U+FFFD", "[rewards]") {
  std::string_view text = "a\u00e9\u4e2d\U0001F600\xff";
  const char32_t expected[] = {0x61, 0xe9, 0x4e2d, 0x1f600, 0xfffd};
  for (const char32_t c : expected) CHECK(take_character(text) == c);
  CHECK(text.empty());
  CHECK(count_characters("\u00e9\u00e9\xc3") == 3);
  CHECK(count_characters("") == 0);
}

TEST_CASE("characters: letters have scripts, the rest has none", "[rewards]") {
  CHECK(script_name('a') == "latin");
  CHECK(script_name('Z') == "latin");
  CHECK(script_name(0xdf) == "latin");
  CHECK(script_name(0x3b1) == "greek");
  CHECK(script_name(0x44f) == "cyrillic");
  CHECK(script_name(0x5d0) == "hebrew");
  CHECK(script_name(0x628) == "arabic");
  CHECK(script_name(0x915) == "devanagari");
  CHECK(script_name(0xe01) == "thai");
  CHECK(script_name(0x304b) == "hiragana");
  CHECK(script_name(0x30ab) == "katakana");
  CHECK(script_name(0x4e2d) == "han");
  CHECK(script_name(0x20000) == "han");
  CHECK(script_name(0xac00) == "hangul");
  for (const char32_t c : {U'0', U'+', U'[', U' ', char32_t{0xd7}, char32_t{0x3002},
                           char32_t{0xfffd}, char32_t{0x1f600}, char32_t{0}})
    CHECK(script_name(c).empty());
}

TEST_CASE("characters: names of scripts are in order, and each has a letter", "[rewards]") {
  const auto names = script_names();
  CHECK(std::is_sorted(names.begin(), names.end()));
  std::vector<bool> seen(names.size(), false);
  for (char32_t c = 0; c < 0x30000; ++c) {
    if (const auto script = script_of(c)) {
      REQUIRE(*script < names.size());
      seen[*script] = true;
      if (c >= 0x80) CHECK(is_alphanumeric(c));
    }
  }
  CHECK(std::count(seen.begin(), seen.end(), false) == 0);
}

TEST_CASE("characters: lower case", "[rewards]") {
  CHECK(to_lower_case('A') == U'a');
  CHECK(to_lower_case('[') == U'[');
  CHECK(to_lower_case(0xc9) == 0xe9);
  CHECK(to_lower_case(0xd7) == 0xd7);
  CHECK(to_lower_case(0x100) == 0x101);
  CHECK(to_lower_case(0x101) == 0x101);
  CHECK(to_lower_case(0x178) == 0xff);
  CHECK(to_lower_case(0x391) == 0x3b1);
  CHECK(to_lower_case(0x416) == 0x436);
  for (char32_t c = 0; c < 0x3000; ++c) {
    CAPTURE(static_cast<unsigned>(c));
    CHECK(to_lower_case(to_lower_case(c)) == to_lower_case(c));
  }
}

TEST_CASE("characters: white space, letters and digits", "[rewards]") {
  for (const char32_t c : {U' ', U'\n', U'\t', char32_t{0xa0}, char32_t{0x3000}}) {
    CHECK(is_white_space(c));
    CHECK_FALSE(is_alphanumeric(c));
  }
  for (const char32_t c : {U'a', U'7', char32_t{0xe9}, char32_t{0x4e2d}, char32_t{0x661}})
    CHECK(is_alphanumeric(c));
  for (const char32_t c :
       {U'-', U'_', U'.', char32_t{0x2014}, char32_t{0x3001}, char32_t{0x301}, char32_t{0x1f600}})
    CHECK_FALSE(is_alphanumeric(c));
}

}  // namespace
}  // namespace zeroth
