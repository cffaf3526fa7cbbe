// A dense decoder as a GGUF file that llama.cpp runs: metadata under the architecture's keys and
// tensors under llama.cpp's names.
//
// Goals: the grouped-query families, qwen2, qwen3 and llama. Matrices are of the chosen type; norms
// and biases stay f32, which is what llama.cpp computes with; a matrix whose rows are not whole
// q8_0 blocks is f16. llama.cpp rotates the pairs (2i, 2i + 1) of a Llama head where Hugging Face
// rotates (i, i + Dh/2): the rows of q_proj and k_proj are put in its order.
#pragma once

#include <string>
#include <vector>

#include "policy/gguf.h"
#include "policy/model_config.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"

namespace zeroth {

struct GgufModelOptions {
  GgufType type = GgufType::f32;   // of the matrices
  std::string name = {};           // general.name
  std::string chat_template = {};  // Jinja; empty: none
  std::string source = {};         // names the checkpoint in errors
};

struct GgufModel {
  std::vector<GgufEntry> metadata;
  std::vector<GgufSource> tensors;  // they refer to `weights`
};

/// InputError naming what llama.cpp could not run as it is meant: latent attention, experts, yarn,
/// scaled frequencies outside of llama; a weight that is not finite or too large for the type; and
/// what gguf_tokenizer() refuses. `weights` must outlive the result.
GgufModel gguf_model(const ModelConfig& config, const Weights& weights, const Tokenizer& tokenizer,
                     const GgufModelOptions& options);

}  // namespace zeroth
