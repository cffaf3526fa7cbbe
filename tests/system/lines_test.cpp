#include "system/lines.h"

#include <catch2/catch.hpp>
#include <string>

namespace zeroth {

TEST_CASE("lines: what stands before each end, and behind the last", "[system]") {
  const auto joined = [](std::string_view text) {
    std::string result;
    for (const TextLine& line : lines_of(text))
      result += std::to_string(line.number) + "<" + std::string(line.text) + ">";
    return result;
  };
  CHECK(joined("") == "");
  CHECK(joined("a") == "1<a>");
  CHECK(joined("a\n") == "1<a>");
  CHECK(joined("a\n\nb") == "1<a>2<>3<b>");
  CHECK(joined("\n\n") == "1<>2<>");
  CHECK(joined(std::string_view("a\0b\r\nc", 6)) == std::string("1<a\0b\r>2<c>", 11));
}

TEST_CASE("lines: blank is white space alone", "[system]") {
  for (const char* text : {"", " ", "\t \r"}) CHECK(TextLine{.text = text}.is_blank());
  for (const char* text : {"a", " a ", "\v"}) CHECK_FALSE(TextLine{.text = text}.is_blank());
}

}  // namespace zeroth
