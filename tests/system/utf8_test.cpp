#include "system/utf8.h"

#include <catch2/catch.hpp>
#include <string>

namespace zeroth {

TEST_CASE("utf8: the characters at both ends of every row of the table are whole", "[system]") {
  for (const char* text :
       {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xE0\xBF\xBF", "\xE1\x80\x80",
        "\xEC\xBF\xBF", "\xED\x80\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80", "\xF0\xBF\xBF\xBF", "\xF1\x80\x80\x80", "\xF3\xBF\xBF\xBF",
        "\xF4\x80\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    const std::string character = text;
    CHECK(utf8_bytes(character) == character.size());
    CHECK(utf8_bytes(character + "\x80") == character.size());
    for (std::size_t size = 0; size < character.size(); ++size)
      CHECK(utf8_bytes(character.substr(0, size)) == 0);
  }
  CHECK(utf8_bytes(std::string(1, '\0')) == 1);
}

TEST_CASE("utf8: what lies just outside of the table is no character", "[system]") {
  for (const char* text : {"\x80", "\xBF", "\xC1\xBF", "\xC2\x7F", "\xC2\xC0", "\xE0\x9F\xBF",
                           "\xED\xA0\x80", "\xE1\x80\x7F", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                           "\xF1\x80\x80\x7F", "\xF5\x80\x80\x80", "\xFF"})
    CHECK(utf8_bytes(text) == 0);
}

TEST_CASE("utf8: a prefix cuts no character", "[system]") {
  const std::string text = "a\u00E9\u20AC\U0001F600";  // 1, 2, 3 and 4 bytes
  const std::size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (std::size_t size = 0; size < std::size(expected); ++size)
    CHECK(utf8_prefix(text, size) == text.substr(0, expected[size]));
}

}  // namespace zeroth
