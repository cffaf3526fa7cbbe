// What attention remembers of each token: for MLA the normalised latent and the rotated rope key
// (kv_lora_rank + qk_rope_head_dim floats a layer) and nothing else; for GQA its keys and values.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/buffer.h"
#include "policy/model_config.h"

namespace zeroth {

/// Floats a token takes in one layer's cache.
std::int64_t cache_width(const AttentionConfig& attention);

/// Bytes a token takes over all layers, in fp32.
std::int64_t cache_bytes_per_token(const ModelConfig& config);

class Cache {
 public:
  explicit Cache(const ModelConfig& config);

  /// Room for `rows` tokens in every layer. Growing discards the contents.
  void resize(std::int64_t rows);
  void clear();  // zeros
  std::int64_t rows() const { return rows_; }
  float* layer(std::size_t index) { return layers_[index].data(); }
  const float* layer(std::size_t index) const { return layers_[index].data(); }
  std::int64_t width(std::size_t index) const { return widths_[index]; }

 private:
  std::vector<Buffer> layers_;
  std::vector<std::int64_t> widths_;
  std::int64_t rows_ = 0;
};

}  // namespace zeroth
