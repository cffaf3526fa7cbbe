// Text of tokens as they come, for who shows it at once.
//
// Promise: the pieces are UTF-8 each, and together they are Tokenizer::decode of all tokens. Bytes
// that may still become a character wait for the next token; so does a run of byte tokens (<0x..>),
// which is known to be UTF-8 or not at its end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "policy/tokenizer.h"
#include "policy/tokenizer/token_decoder.h"

namespace zeroth {

class TextStream {
 public:
  /// `tokenizer` must outlive this; `skip_special` as in Tokenizer::decode.
  TextStream(const Tokenizer& tokenizer, bool skip_special);

  /// The text that `ids`, after all ids before, makes certain; often nothing.
  std::string push(std::span<const std::int32_t> ids);
  /// What waited, when no token comes any more.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string waiting_;                  // bytes of a character that is not whole
  std::optional<DecodeStream> decoder_;  // in place of waiting_ where bytes alone will not do
};

}  // namespace zeroth
