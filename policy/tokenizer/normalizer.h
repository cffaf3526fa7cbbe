// The normalizers of tokenizer.json: text in, text out, before anything is cut.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "policy/tokenizer/text_pattern.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {

class Normalizer {
 public:
  struct Form {
    NormalForm form;
  };
  struct Lowercase {};
  struct Strip {
    bool left, right;
  };
  struct Prepend {
    std::string text;
  };
  struct Replace {
    TextPattern pattern;
    std::string content;
  };
  struct ByteLevel {};  // every byte its character of GPT-2's alphabet
  using Step = std::variant<Form, Lowercase, Strip, Prepend, Replace, ByteLevel>;

  void add(Step step);
  bool empty() const { return steps_.empty(); }
  const std::vector<Step>& steps() const { return steps_; }

  /// `text` must be UTF-8, and so is what comes back.
  std::string apply(std::string_view text, PatternScratch& scratch) const;

 private:
  std::vector<Step> steps_;
};

/// Every match of `pattern` replaced. The part of Normalizer that decoders share.
std::string replace_matches(std::string_view text, const TextPattern& pattern,
                            std::string_view content, PatternScratch& scratch);

/// Every byte its character of the alphabet.
std::string byte_level_text(std::string_view bytes);

}  // namespace zeroth
