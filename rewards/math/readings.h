// What a text may say as an answer: as letters, as words, and as mathematics, sometimes in two
// ways.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/math/expression.h"

namespace zeroth::math {

struct Readings {
  std::string letters;  // without styles and spaces
  std::string words;    // the same without case, and without punctuation where there are no digits
  bool has_words = false;  // beside mathematics
  /// As mathematics; empty where it is none. The first is the usual reading; another one
  /// - has groups: "p=5,q=2;p=7,q=2" is (p=5,q=2),(p=7,q=2);
  /// - has a decimal comma, where that is asked for: "1,22" is 1.22, "1.234,5" is 1234.5, "1 234"
  /// is 1234.
  std::vector<Expression> expressions;
};

/// Of `text`, which is not too long to be read.
Readings read_answer(std::string_view text, bool decimal_comma);

}  // namespace zeroth::math
