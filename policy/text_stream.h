// Text of tokens as they come, for who shows it at once.
//
// Promise: the pieces are UTF-8 each, and together they are Tokenizer::decode of all tokens. Bytes
// that may still become a character wait for the next token.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "policy/tokenizer.h"

namespace zeroth {

class TextStream {
 public:
  /// `tokenizer` must outlive this; `skip_special` as in Tokenizer::decode.
  TextStream(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  /// The text that `ids`, after all ids before, makes certain; often nothing.
  std::string push(std::span<const std::int32_t> ids);
  /// What waited, when no token comes any more: nothing or U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string waiting_;  // bytes of a character that is not whole
};

}  // namespace zeroth
