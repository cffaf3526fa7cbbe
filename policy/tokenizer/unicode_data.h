// What Hugging Face's `tokenizers` 0.23.3 knows of Unicode and the libraries here do not, or the
// other way round: a few ranges in place of a second copy of the character database.
//
// Its regular expressions (Oniguruma) have Unicode 16, PCRE2 10.42 has 14; its normal forms have
// the data of Unicode 10, its punctuation that of Unicode 8.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace zeroth {

struct CodePointRange {
  char32_t first, last;
};

/// Code points that PCRE2 10.42 counts among the unassigned, and U+1171E, which changed category.
struct UnicodeAddition {
  char32_t first, last;
  std::string_view category;  // two letters
  std::string_view script;    // empty: one that PCRE2 10.42 has no name for
};
std::span<const UnicodeAddition> unicode_additions();

/// Code points that normal forms leave alone in `tokenizers`: no class, no decomposition.
std::span<const CodePointRange> not_normalized();

/// Code points of category P that its Punctuation does not cut at.
std::span<const CodePointRange> not_punctuation();

}  // namespace zeroth
