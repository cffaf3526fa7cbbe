// The regular expressions of a tokenizer.json, compiled: PCRE2 in place of Oniguruma.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/onig_pattern.h"

namespace zeroth {

struct Span {
  std::size_t begin, end;
  bool is_match;
};

/// Memory that a search works in; one a thread. Made at the first search.
class PatternScratch {
 public:
  PatternScratch();
  ~PatternScratch();
  PatternScratch(const PatternScratch&) = delete;
  PatternScratch& operator=(const PatternScratch&) = delete;

 private:
  friend class TextPattern;
  struct State;
  std::unique_ptr<State> state_;
};

/// Immutable; copies share the compiled expression.
class TextPattern {
 public:
  /// PatternError for an expression that is wrong or not supported.
  static TextPattern regex(std::string_view pattern);
  /// Matches `text` (not empty) itself.
  static TextPattern literal(std::string text);

  /// Matches, leftmost first, and what lies between them, in order; an empty match right behind a
  /// match is none. `text` must be UTF-8. InputError when the expression backtracks too long.
  void spans(std::string_view text, PatternScratch& scratch, std::vector<Span>& out) const;

  /// The expression as it was given; empty for a literal.
  std::string_view expression() const { return code_ == nullptr ? "" : std::string_view(text_); }

 private:
  TextPattern() = default;
  void literal_spans(std::string_view text, std::vector<Span>& out) const;

  struct Code;
  std::shared_ptr<const Code> code_;
  std::string text_;  // of a literal; else the expression, for errors
};

}  // namespace zeroth
