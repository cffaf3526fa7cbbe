// Qwen2 and Qwen2.5 (arXiv:2407.10671): grouped-query attention with biases on q, k and v.
// Qwen3 (arXiv:2505.09388), dense: no biases, an RMS norm on each q and k head.
#include "policy/families/common.h"
#include "policy/families/families.h"

namespace zeroth {
namespace {

constexpr std::int64_t kQwen3HeadDim =
    128;  // what transformers takes when Qwen3's config.json has no head_dim

void read_dense_decoder(const JsonReader& json, ModelConfig& config, AttentionConfig attention) {
  require_bool(json, "use_sliding_window", false);
  const FfnConfig ffn = read_dense_ffn(json);
  for (LayerConfig& layer : config.layers) layer = {.attention = attention, .ffn = ffn};
}

}  // namespace

void read_qwen2(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  AttentionConfig attention = read_gqa(json, config);
  attention.qkv_bias = true;
  read_dense_decoder(json, config, attention);
}

void read_qwen3(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  require_bool(json, "attention_bias", false);
  AttentionConfig attention = read_gqa(json, config, kQwen3HeadDim);
  attention.qk_norm = true;
  read_dense_decoder(json, config, attention);
}

}  // namespace zeroth
