// Sets of characters over every code point, held against what `tokenizers` 0.23.3 makes of them.
//
// tests/interop/tokenizer_classes.py prints the table below: for each set how many code points it
// has, and a hash of which.

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "policy/tokenizer/text_pattern.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

struct Set {
  const char* what;
  std::size_t count;
  std::uint64_t hash;
};

constexpr Set kExpressions[] = {
#include "tests/policy/tokenizer_expressions.inc"
};
constexpr Set kFunctions[] = {
#include "tests/policy/tokenizer_functions.inc"
};

constexpr std::uint64_t kOffset = 0xcbf29ce484222325U;  // FNV-1a

/// Adds a code point to the hash as four bytes, the lowest first.
void add(std::uint64_t& hash, char32_t c) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    hash = (hash ^ (c >> shift & 0xFFU)) * 0x100000001b3U;
  }
}

template <class F>
void for_each_code_point(F use) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c < 0xD800 || c > 0xDFFF) use(c);
  }
}

std::string utf8(char32_t c) {
  std::string text;
  append_code_point(text, c);
  return text;
}

void check_set(const Set& set, const std::function<bool(char32_t)>& has) {
  std::size_t count = 0;
  std::uint64_t hash = kOffset;
  for_each_code_point([&](char32_t c) {
    if (!has(c)) return;
    ++count;
    add(hash, c);
  });
  INFO(set.what);
  CHECK(count == set.count);
  CHECK(hash == set.hash);
}

TEST_CASE("tokenizer_classes: expressions match the code points they match in tokenizers",
          "[policy]") {
  std::string all;
  for_each_code_point([&](char32_t c) { append_code_point(all, c); });
  PatternScratch scratch;
  std::vector<Span> spans;
  for (const Set& set : kExpressions) {
    TextPattern::regex(set.what).spans(all, scratch, spans);
    std::size_t count = 0;
    std::uint64_t hash = kOffset;
    for (const Span& span : spans) {
      for (std::size_t at = span.begin; span.is_match && at < span.end;) {
        const CodePoint c = code_point_at(all, at);
        at += c.size;
        ++count;
        add(hash, c.value);
      }
    }
    INFO(set.what);
    CHECK(count == set.count);
    CHECK(hash == set.hash);
  }
}

TEST_CASE("tokenizer_classes: sets and mappings of code points are those of tokenizers",
          "[policy]") {
  for (const Set& set : kFunctions) {
    const std::string what = set.what;
    if (what == "numeric") check_set(set, is_numeric);
    if (what == "punctuation") check_set(set, is_punctuation);
    if (what == "word") check_set(set, is_word);
    if (what == "space") check_set(set, is_space_code_point);
    const auto check_mapping = [&](const std::function<std::string(const std::string&)>& map) {
      std::size_t changed = 0;
      std::uint64_t hash = kOffset;
      for_each_code_point([&](char32_t c) {
        // Beside letters and marks of several classes, which are put in order around it.
        for (const std::string& text :
             {utf8(c), "a\xCC\xA7" + utf8(c) + "\xCC\x81\xCC\xA3",
              utf8(c) + "\xCC\xA3\xCC\x81\xD6\xB0\xE3\x82\x99\xE1\x85\xA1\xE1\x86\xA8\xCC\xB4"}) {
          const std::string out = map(text);
          if (out == text) continue;
          ++changed;
          for (const char byte : out) add(hash, static_cast<std::uint8_t>(byte));
        }
      });
      INFO(what);
      CHECK(changed == set.count);
      CHECK(hash == set.hash);
    };
    const auto form = [&](NormalForm kind) {
      check_mapping([kind](const std::string& text) { return normalize_unicode(text, kind); });
    };
    if (what == "NFC") form(NormalForm::nfc);
    if (what == "NFD") form(NormalForm::nfd);
    if (what == "NFKC") form(NormalForm::nfkc);
    if (what == "NFKD") form(NormalForm::nfkd);
    if (what == "lowercase") {
      check_mapping([](const std::string& text) { return lowercase_unicode(text); });
    }
  }
}

TEST_CASE("tokenizer_classes: a set that misses one code point has another hash", "[policy]") {
  std::uint64_t with = kOffset, without = kOffset;
  for_each_code_point([&](char32_t c) {
    if (!is_punctuation(c)) return;
    add(with, c);
    if (c != 0x2E41) add(without, c);
  });
  CHECK(with != without);
}

}  // namespace
}  // namespace zeroth
