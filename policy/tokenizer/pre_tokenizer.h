// The pre-tokenizers of tokenizer.json: a stretch of text is cut into pieces within which tokens
// are merged.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/tokenizer/text_pattern.h"

namespace zeroth {

struct Piece {
  std::string_view text;
  bool at_start;  // of the whole text
};

/// What cutting works in, and what the pieces of the last call refer to. One a thread.
struct CutScratch {
  PatternScratch pattern;
  std::vector<Span> spans;
  std::vector<Piece> next;
  std::deque<std::string> texts;  // of pieces that are not the text itself
};

class PreTokenizer {
 public:
  /// What becomes of matches.
  enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
  /// Where a matching code point is a match of its own.
  using CodePointSet = bool (*)(char32_t);

  struct Split {
    TextPattern pattern;
    Behavior behavior;
    bool invert;  // what does not match is what matches
  };
  struct SplitAt {
    CodePointSet matches;
    Behavior behavior;
  };
  struct Words {};        // \w+|[^\w\s]+
  struct PrefixSpace {};  // where none is
  struct Metaspace {
    enum class Prepend { always, first, never };
    std::string replacement;
    Prepend prepend;
  };
  struct Alphabet {};  // every byte its character of GPT-2's alphabet
  using Step = std::variant<Split, SplitAt, Words, PrefixSpace, Metaspace, Alphabet>;

  void add(Step step);
  bool empty() const { return steps_.empty(); }
  const std::vector<Step>& steps() const { return steps_; }

  /// The pieces of `text` (UTF-8, unless there are no steps), none of which is empty. They refer to
  /// `text` and to `scratch`.
  void cut(std::string_view text, bool at_start, CutScratch& scratch,
           std::vector<Piece>& pieces) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace zeroth
