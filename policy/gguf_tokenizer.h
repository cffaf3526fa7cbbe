// A tokenizer as the metadata of a GGUF file, so that llama.cpp gives the ids that Zeroth gives.
//
// llama.cpp's "gpt2" tokenizer is byte-level BPE: it finds added tokens, the longest first, cuts
// what lies between them into pieces by the expression that tokenizer.ggml.pre names, and merges
// within a piece. The files of the model families cut by expressions that have such a name
// (gguf/pre_tokenizer_name.h); one that has none is refused, unless the caller names one.
//
// Tokenizers that do not cut are written where that makes no difference: without merges, and where
// no token can lie across a cut: `bloom` cuts only beside white space and ( ) | . , ! ? and their
// relatives beyond ASCII, so merges into tokens of other ASCII characters are safe.
//
// One difference stays: a byte without a token is an InputError in Zeroth, and llama.cpp leaves it
// out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/gguf.h"
#include "policy/model_config.h"
#include "policy/tokenizer.h"

namespace zeroth {

struct GgufTokenizerOptions {
  std::string chat_template = {};  // Jinja; empty: none
  std::string pre = {};     // llama.cpp's name for what cuts; empty: by the file's expressions
  std::string source = {};  // names the checkpoint in errors
};

struct GgufTokenizer {
  std::vector<GgufEntry> metadata;
  std::vector<std::string> warnings;  // what llama.cpp will do differently, a sentence each
};

/// tokenizer.ggml.*: tokens, types, merges, special ids, and the chat template where it is not
/// empty. Ids of the model beyond the tokenizer's are [PAD<id>]. InputError for a tokenizer that
/// llama.cpp would read differently, for more tokens than vocab_size, and for no end-of-sequence
/// token or more than three.
GgufTokenizer gguf_tokenizer(const Tokenizer& tokenizer, const ModelConfig& config,
                             const GgufTokenizerOptions& options);

}  // namespace zeroth
