#include "tools/printable.h"

#include <catch2/catch.hpp>

namespace zeroth {

TEST_CASE("printable: text of any language stays as it is", "[tools]") {
  for (const char* text : {"", "blk.0.attn_q.weight", "Größe \u4E2D\u6587 \U0001F600", "\u00A0~",
                           "\u0800\uD7FF\uFFFD\U00010000\U0010FFFF", "back\\slash"})
    CHECK(printable(text) == text);
}

TEST_CASE("printable: what a terminal obeys is written out", "[tools]") {
  CHECK(printable("a\x1B[2Jb") == "a\\x1b[2Jb");
  CHECK(printable(std::string_view("\0\t\n\r\x7F", 5)) == "\\x00\\x09\\x0a\\x0d\\x7f");
  CHECK(printable("\u0080\u009B31m\u009F") == "\\xc2\\x80\\xc2\\x9b31m\\xc2\\x9f");
  CHECK(printable("one\ntwo\x1B\n", "\n") == "one\ntwo\\x1b\n");
}

TEST_CASE("printable: bytes that are no UTF-8 are written out", "[tools]") {
  CHECK(printable("\x9B"
                  "1m") == "\\x9b1m");                             // C1 as a byte
  CHECK(printable("\xC2") == "\\xc2");                             // cut off
  CHECK(printable("\xE4\xB8") == "\\xe4\\xb8");                    // cut off
  CHECK(printable("\xC1\x9B") == "\\xc1\\x9b");                    // longer than it needs to be
  CHECK(printable("\xE0\x82\x9B") == "\\xe0\\x82\\x9b");           // so is this
  CHECK(printable("\xED\xA0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  CHECK(printable("\xF4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  CHECK(printable("\xC3(") == "\\xc3(");
}

TEST_CASE("printable: no sequence of two bytes brings a control character through", "[tools]") {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = printable(std::string{static_cast<char>(a), static_cast<char>(b)});
      for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool obeyed = byte < 0x20 || byte == 0x7F ||
                            (byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0);
        if (obeyed) FAIL("bytes " << a << " and " << b);
      }
      CHECK(printable(text) == text);
    }
  }
}

}  // namespace zeroth
