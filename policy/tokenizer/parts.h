// A tokenizer.json that was read: what Tokenizer is made of. Immutable once shared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/tokenizer.h"
#include "policy/tokenizer/added_tokens.h"
#include "policy/tokenizer/bpe.h"
#include "policy/tokenizer/normalizer.h"
#include "policy/tokenizer/pre_tokenizer.h"
#include "policy/tokenizer/tables.h"
#include "policy/tokenizer/token_decoder.h"

namespace zeroth {

struct TokenizerParts {
  std::vector<Tokenizer::Token> tokens;  // by id
  IdTable ids;                           // by spelling, added tokens too
  // `tokenizers` matches added tokens with "normalized": false in the whole text, and those with
  // true, normalized themselves, in what lies between them once it is normalized.
  AddedTokens added_first, added_second;
  bool added_take_space = false;  // one has lstrip, rstrip or single_word
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  TokenDecoder decoder;
  std::vector<std::int32_t> before, behind;  // special tokens that the post-processor adds

  /// Whether text must be UTF-8: bytes alone need not be.
  bool reads_characters() const {
    return !normalizer.empty() || !pre_tokenizer.empty() || !bpe.options().bytes ||
           added_take_space;
  }
};

}  // namespace zeroth
