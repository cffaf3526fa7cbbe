// The decoders of tokenizer.json: from tokens back to text, at once or as they come.
//
// Each step takes tokens and gives tokens. A step that makes one token of all (ByteLevel, Fuse)
// gives it in parts, as soon as they are certain, so that text can be shown while it is sampled;
// a step that needs a whole token collects it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/tokenizer/text_pattern.h"

namespace zeroth {

class TokenDecoder {
 public:
  struct ByteLevel {};     // all tokens as bytes of GPT-2's alphabet, U+FFFD for what is not UTF-8
  struct ByteFallback {};  // runs of <0x..> as UTF-8, or U+FFFD for each where the run is not
  struct Fuse {};
  struct Spaces {};  // between tokens: what a file without decoder means
  struct Replace {
    TextPattern pattern;
    std::string content;
  };
  struct Strip {
    char32_t content;
    std::size_t start, stop;  // at most so many
  };
  struct Metaspace {
    char32_t replacement;
    bool drops_first;  // what stands for spaces is nothing in the first token
  };
  using Step = std::variant<ByteLevel, ByteFallback, Fuse, Spaces, Replace, Strip, Metaspace>;

  void add(Step step);
  const std::vector<Step>& steps() const { return steps_; }
  bool is_byte_level() const {
    return steps_.size() == 1 && std::holds_alternative<ByteLevel>(steps_[0]);
  }

 private:
  std::vector<Step> steps_;
};

/// One text being decoded.
class DecodeStream {
 public:
  /// `decoder` must outlive this.
  explicit DecodeStream(const TokenDecoder& decoder);

  /// The text that `token`, after all tokens before, makes certain; often nothing.
  std::string push(std::string_view token);
  /// What waited, when no token comes any more.
  std::string finish();

 private:
  struct State {
    std::string token;      // the part there is of a token that is wanted whole
    std::string waiting;    // bytes of a run or of a character that is not whole
    std::size_t index = 0;  // of the token
    std::size_t taken = 0;  // characters that were cut off this token
    bool cutting = true;
  };
  struct Visitor;
  void feed(std::size_t step, std::string_view part, bool ends_token);
  void end(std::size_t step);

  const TokenDecoder& decoder_;
  std::vector<State> states_;
  std::string out_;
  PatternScratch scratch_;
};

}  // namespace zeroth
