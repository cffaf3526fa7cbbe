// A tokenizer as the metadata of a GGUF file, so that llama.cpp gives the ids that Zeroth gives.
//
// llama.cpp's "gpt2" tokenizer is byte-level BPE: it finds added tokens, the longest first, cuts
// what lies between them into pieces by the expression that tokenizer.ggml.pre names, and merges
// within a piece. Zeroth's tokenizers do not cut. Without merges that makes no difference. With
// merges it makes none where no token can lie across a cut: `bloom` cuts only beside white space
// and ( ) | . , ! ? and their relatives beyond ASCII, so merges into tokens of other ASCII
// characters are safe. Everything else is refused.
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

/// tokenizer.ggml.*: tokens, types, merges, special ids, and the chat template where it is not
/// empty. Ids of the model beyond the tokenizer's are [PAD<id>]. `source` names the checkpoint in
/// the InputError for a tokenizer that llama.cpp would read differently, for more tokens than
/// vocab_size, and for no end-of-sequence token or more than three.
std::vector<GgufEntry> gguf_tokenizer(const Tokenizer& tokenizer, const ModelConfig& config,
                                      const std::string& chat_template, const std::string& source);

}  // namespace zeroth
