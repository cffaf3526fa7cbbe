// The metadata of a model under the keys of llama.cpp's architectures: what its own converter
// writes for the same config.json.
//
//   llama, qwen2, qwen3   the families of these names
//   qwen3moe              qwen3_moe, where every layer has experts
//   glm4moe               glm4_moe
//   deepseek2             deepseek_v2, deepseek_v3, kimi_k2: latent attention as one key and value
//                         head of kv_lora_rank (+ rope) numbers, which is how llama.cpp runs it
#pragma once

#include <string>
#include <vector>

#include "policy/gguf.h"
#include "policy/model_config.h"

namespace zeroth {

/// "deepseek2"; InputError naming model_type in `source`/config.json for a family that llama.cpp
/// has no architecture for.
std::string gguf_architecture(const ModelConfig& config, const std::string& source);

/// The keys that begin with the architecture's name. InputError for what llama.cpp would compute
/// differently: rotary scalings it has no keys for, dense layers among qwen3moe's, …
std::vector<GgufEntry> gguf_model_keys(const ModelConfig& config, const std::string& source);

/// What llama.cpp will compute differently all the same, a sentence each.
std::vector<std::string> gguf_model_warnings(const ModelConfig& config);

}  // namespace zeroth
