// What attention remembers of each token: for MLA the normalised latent and the rotated rope key
// (kv_lora_rank + qk_rope_head_dim floats a layer) and nothing else; for GQA its keys and values.
//
// With mla_prefix = expanded the tokens of prompts stand in rows of their own, numbered from 0 as
// the others are, and hold keys and values of every head in place of the latent: computed from it
// once, read by all completions of the group. Else prompts and completions share the rows.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/buffer.h"
#include "policy/model_config.h"

namespace zeroth {

/// Whether prompts have rows of their own.
bool expands_prompts(const ModelConfig& config);

/// Floats a token takes in one layer's cache, and floats that a prompt's takes.
std::int64_t cache_width(const AttentionConfig& attention);
std::int64_t prompt_cache_width(const AttentionConfig& attention);

/// Bytes a token takes over all layers, in fp32, and bytes that a prompt's takes.
std::int64_t cache_bytes_per_token(const ModelConfig& config);
std::int64_t prompt_cache_bytes_per_token(const ModelConfig& config);

class Cache {
 public:
  explicit Cache(const ModelConfig& config);

  /// Room for `rows` tokens in every layer, and for `prompt_rows` of prompts where they have rows
  /// of their own. Growing discards the contents.
  void resize(std::int64_t rows, std::int64_t prompt_rows);
  void clear();  // zeros
  std::int64_t rows() const { return rows_; }
  std::int64_t prompt_rows() const { return prompt_rows_; }  // 0 without rows of their own
  float* layer(std::size_t index) { return layers_[index].data(); }
  const float* layer(std::size_t index) const { return layers_[index].data(); }
  std::int64_t width(std::size_t index) const { return widths_[index]; }
  /// The prompts' own rows.
  float* prompts(std::size_t index) { return prompts_[index].data(); }
  const float* prompts(std::size_t index) const { return prompts_[index].data(); }
  std::int64_t bytes() const;

 private:
  std::vector<Buffer> layers_, prompts_;
  std::vector<std::int64_t> widths_, prompt_widths_;
  bool own_prompt_rows_;
  std::int64_t rows_ = 0;
  std::int64_t prompt_rows_ = 0;
};

}  // namespace zeroth
