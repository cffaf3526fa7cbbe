#include "policy/cache.h"

#include <algorithm>

namespace zeroth {

bool expands_prompts(const ModelConfig& config) {
  return std::any_of(config.layers.begin(), config.layers.end(), [](const LayerConfig& layer) {
    return layer.attention.mla_prefix == MlaPrefix::expanded;
  });
}

std::int64_t cache_width(const AttentionConfig& a) {
  if (a.kind == AttentionKind::mla) return a.kv_lora_rank + a.qk_rope_head_dim;
  return 2 * a.num_kv_heads * a.head_dim;
}

std::int64_t prompt_cache_width(const AttentionConfig& a) {
  if (a.mla_prefix == MlaPrefix::absorbed) return cache_width(a);
  return a.num_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim + a.v_head_dim);
}

std::int64_t cache_bytes_per_token(const ModelConfig& config) {
  std::int64_t floats = 0;
  for (const LayerConfig& layer : config.layers) floats += cache_width(layer.attention);
  return floats * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t prompt_cache_bytes_per_token(const ModelConfig& config) {
  std::int64_t floats = 0;
  for (const LayerConfig& layer : config.layers) floats += prompt_cache_width(layer.attention);
  return floats * static_cast<std::int64_t>(sizeof(float));
}

Cache::Cache(const ModelConfig& config)
    : layers_(config.layers.size()),
      prompts_(config.layers.size()),
      own_prompt_rows_(expands_prompts(config)) {
  for (const LayerConfig& layer : config.layers) {
    widths_.push_back(cache_width(layer.attention));
    prompt_widths_.push_back(prompt_cache_width(layer.attention));
  }
}

void Cache::resize(std::int64_t rows, std::int64_t prompt_rows) {
  rows_ = rows;
  prompt_rows_ = own_prompt_rows_ ? prompt_rows : 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].resize(rows_ * widths_[i]);
    prompts_[i].resize(prompt_rows_ * prompt_widths_[i]);
  }
}

void Cache::clear() {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    std::fill_n(layers_[i].data(), rows_ * widths_[i], 0.0F);
    std::fill_n(prompts_[i].data(), prompt_rows_ * prompt_widths_[i], 0.0F);
  }
}

std::int64_t Cache::bytes() const {
  std::int64_t floats = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    floats += rows_ * widths_[i] + prompt_rows_ * prompt_widths_[i];
  }
  return floats * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace zeroth
