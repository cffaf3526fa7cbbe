#include "policy/cache.h"

#include <cstring>

namespace zeroth {

std::int64_t cache_width(const AttentionConfig& a) {
  if (a.kind == AttentionKind::mla) return a.kv_lora_rank + a.qk_rope_head_dim;
  return 2 * a.num_kv_heads * a.head_dim;
}

std::int64_t cache_bytes_per_token(const ModelConfig& config) {
  std::int64_t floats = 0;
  for (const LayerConfig& layer : config.layers) floats += cache_width(layer.attention);
  return floats * static_cast<std::int64_t>(sizeof(float));
}

Cache::Cache(const ModelConfig& config) : layers_(config.layers.size()) {
  for (const LayerConfig& layer : config.layers) widths_.push_back(cache_width(layer.attention));
}

void Cache::resize(std::int64_t rows) {
  for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i].resize(rows * widths_[i]);
  rows_ = rows;
}

void Cache::clear() {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    std::memset(layers_[i].data(), 0, static_cast<std::size_t>(rows_ * widths_[i]) * sizeof(float));
  }
}

}  // namespace zeroth
