// Code points of UTF-8 text, and the sets of them that the parts of tokenizer.json name: as
// `tokenizers` 0.23.3 has them, which is not everywhere as the newest Unicode does.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace zeroth {

struct CodePoint {
  char32_t value;
  std::size_t size;  // bytes
};

/// The code point at `at` < text.size() of well-formed UTF-8.
CodePoint code_point_at(std::string_view text, std::size_t at);
void append_code_point(std::string& text, char32_t code_point);
/// The number of code points in well-formed UTF-8.
std::size_t count_code_points(std::string_view text);

bool is_space_code_point(char32_t c);
bool is_numeric(char32_t c);
bool is_punctuation(char32_t c);
/// \w of Rust's regex: Alphabetic, M, Nd, Pc, Join_Control.
bool is_word(char32_t c);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::string normalize_unicode(std::string_view text, NormalForm form);

/// Each code point by itself, so without regard to the final sigma.
std::string lowercase_unicode(std::string_view text);

}  // namespace zeroth
