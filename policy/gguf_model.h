// A model as a GGUF file that llama.cpp runs: metadata under the architecture's keys
// (gguf/model_keys.h), tensors under llama.cpp's names (gguf/model_tensors.h), the tokenizer
// (gguf_tokenizer.h).
#pragma once

#include <string>
#include <vector>

#include "policy/gguf.h"
#include "policy/gguf/file_type.h"
#include "policy/model_config.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"

namespace zeroth {

struct GgufModelOptions {
  GgufFileType type = GgufFileType::f32;
  std::string name = {};           // general.name
  std::string chat_template = {};  // Jinja; empty: none
  std::string pre = {};            // as in GgufTokenizerOptions
  std::string source = {};         // names the checkpoint in errors
};

struct GgufModel {
  std::vector<GgufEntry> metadata;
  std::vector<GgufSource> tensors;    // they refer to `weights`
  std::vector<std::string> warnings;  // what llama.cpp will do differently
};

/// InputError naming what llama.cpp could not run as it is meant, a weight that is not finite or
/// too large for its type, and what gguf_tokenizer() refuses. `weights` must outlive the result.
GgufModel gguf_model(const ModelConfig& config, const Weights& weights, const Tokenizer& tokenizer,
                     const GgufModelOptions& options);

}  // namespace zeroth
