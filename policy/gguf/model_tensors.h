// The tensors of a model under llama.cpp's names and in its shapes.
//
//   experts          one tensor of each projection, [E, F, D], in place of E of [F, D]
//   kv_b_proj        attn_k_b [H, R, nope], which takes a query into the latent space, and attn_v_b
//                    [H, v, R], which takes what was met there out of it
//   q_proj, k_proj   of Llama with the rows of each head in another order: llama.cpp rotates the
//                    pairs (2i, 2i + 1) where Hugging Face rotates (i, i + Dh/2)
//   rope_freqs       of llama3 scaling, by how much each pair turns slower
//
// Modules that predict further tokens are left out.
#pragma once

#include <string>
#include <vector>

#include "policy/gguf.h"
#include "policy/gguf/file_type.h"
#include "policy/model_config.h"
#include "policy/weights.h"

namespace zeroth {

/// InputError naming `source` and the tensor for a number that its type cannot hold. `weights` must
/// outlive the result.
std::vector<GgufSource> gguf_model_tensors(const ModelConfig& config, const Weights& weights,
                                           GgufFileType type, const std::string& source);

}  // namespace zeroth
