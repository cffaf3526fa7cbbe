// Regular expressions of tokenizer.json, which are Oniguruma's (Ruby's), in the spelling of PCRE2.
//
// The two share most of their syntax and differ in what it means: \w, \s, \h, $, (?m), (?i) in the
// middle of a group, sets within sets, and the version of Unicode behind \p{…}. What is here reads
// the expression and writes one that matches the same texts in PCRE2 10.42 with UTF, UCP, MULTILINE
// and the line feed as newline. Whatever it cannot promise that for is refused: recursion,
// references to groups, (?x), case folding beyond ASCII, …
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace zeroth {

/// Why an expression is not supported, or not one. The text names the place.
class PatternError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// `pattern` must be UTF-8. PatternError.
std::string pcre2_spelling(std::string_view pattern);

}  // namespace zeroth
