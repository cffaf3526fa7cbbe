// Qwen2 and Qwen2.5 (arXiv:2407.10671): grouped-query attention with biases on q, k and v.
// Qwen3 (arXiv:2505.09388): no biases, an RMS norm on each q and k head; dense, or with experts
// chosen by softmax scores in some or all layers and no shared ones.
#include <algorithm>
#include <vector>

#include "policy/families/common.h"
#include "policy/families/experts.h"
#include "policy/families/families.h"

namespace zeroth {
namespace {

constexpr std::int64_t kQwen3HeadDim =
    128;  // what transformers takes when Qwen3's config.json has no head_dim

AttentionConfig read_qwen3_attention(const JsonReader& json, const ModelConfig& config) {
  require_bool(json, "attention_bias", false);
  require_bool(json, "use_sliding_window", false);
  AttentionConfig attention = read_gqa(json, config, {.head_dim = kQwen3HeadDim});
  attention.qk_norm = true;
  return attention;
}

// transformers 5 writes num_local_experts for what checkpoints call num_experts.
std::string_view experts_key(const JsonReader& json) {
  if (!json.has("num_experts")) {
    return json.has("num_local_experts") ? "num_local_experts" : "num_experts";
  }
  const std::int64_t experts = json.get_int64("num_experts");
  if (json.get_int64("num_local_experts", experts) != experts) {
    json.fail("num_local_experts", std::to_string(experts) + ", as num_experts says");
  }
  return "num_experts";
}

/// Whether each layer is dense: those that mlp_only_layers names, and of the others all but each
/// decoder_sparse_step-th.
std::vector<bool> read_dense_layers(const JsonReader& json, std::size_t num_layers) {
  const std::int64_t step = json.get_int64("decoder_sparse_step", 1);
  if (step < 1) json.fail("decoder_sparse_step", "an integer from 1");
  std::vector<bool> dense(num_layers);
  for (std::size_t i = 0; i < num_layers; ++i) {
    dense[i] = static_cast<std::int64_t>(i + 1) % step != 0;
  }
  if (!json.has("mlp_only_layers")) return dense;
  for (const JsonReader& layer : json.child("mlp_only_layers").elements()) {
    const std::int64_t index = layer.as_int64();
    if (index < 0 || index >= static_cast<std::int64_t>(num_layers)) {
      layer.fail("a layer below num_hidden_layers (" + std::to_string(num_layers) + ")");
    }
    dense[static_cast<std::size_t>(index)] = true;
  }
  return dense;
}

FfnConfig read_softmax_experts(const JsonReader& json) {
  FfnConfig ffn = read_experts(json, experts_key(json));
  ffn.scoring = RouterScoring::softmax;
  ffn.norm_topk_prob = json.get_bool("norm_topk_prob", false);
  return ffn;
}

}  // namespace

void read_qwen2(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  require_bool(json, "use_sliding_window", false);
  AttentionConfig attention = read_gqa(json, config);
  attention.qkv_bias = true;
  config.layers.assign(config.layers.size(), {.attention = attention, .ffn = read_dense_ffn(json)});
}

void read_qwen3(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  config.layers.assign(config.layers.size(), {.attention = read_qwen3_attention(json, config),
                                              .ffn = read_dense_ffn(json)});
}

void read_qwen3_moe(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  const AttentionConfig attention = read_qwen3_attention(json, config);
  const std::vector<bool> dense = read_dense_layers(json, config.layers.size());
  const bool any_dense = std::find(dense.begin(), dense.end(), true) != dense.end();
  const bool any_moe = std::find(dense.begin(), dense.end(), false) != dense.end();
  const FfnConfig ffn = any_dense ? read_dense_ffn(json) : FfnConfig{};
  const FfnConfig moe = any_moe ? read_softmax_experts(json) : FfnConfig{};
  for (std::size_t i = 0; i < dense.size(); ++i) {
    config.layers[i] = {.attention = attention, .ffn = dense[i] ? ffn : moe};
  }
}

}  // namespace zeroth
