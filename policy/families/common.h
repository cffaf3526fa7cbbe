// What the readers of config.json share: bounded sizes, refusals, the fields every decoder has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/model_config.h"
#include "system/json.h"

namespace zeroth {

/// Bounds that no known model reaches; a number beyond them is a damaged file, found before it
/// becomes an allocation.
inline constexpr std::int64_t kMaxWidth = 1 << 24;  // vocabulary, hidden and FFN widths, ranks
inline constexpr std::int64_t kMaxHeadWidth = 4096;
inline constexpr std::int64_t kMaxLayers = 1024;
inline constexpr std::int64_t kMaxExperts = 8192;
inline constexpr std::int64_t kMaxMtpLayers = 64;

/// An integer in [1, max].
std::int64_t read_size(const JsonReader& json, std::string_view key, std::int64_t max = kMaxWidth);

/// Throws unless the boolean `key` is absent or `supported`.
void require_bool(const JsonReader& json, std::string_view key, bool supported);

/// Throws unless the string `key` is absent or `supported`.
void require_string(const JsonReader& json, std::string_view key, std::string_view supported);

/// Throws when `key` is there and not null: it asks for something that is not computed here.
void require_absent(const JsonReader& json, std::string_view key, const std::string& reason);

/// Adds the ids of "eos_token_id", one or a list, to those that there are, each once. InputError
/// for one outside the vocabulary.
void add_end_tokens(const JsonReader& json, ModelConfig& config);

/// Vocabulary, width, norms, embeddings, special tokens, positions; `layers` gets num_hidden_layers
/// default entries.
void read_common(const JsonReader& json, ModelConfig& config);

/// A dense SwiGLU layer of the width in intermediate_size.
FfnConfig read_dense_ffn(const JsonReader& json);

struct GqaDefaults {
  std::int64_t head_dim = 0;          // 0 stands for hidden_size / num_attention_heads
  std::optional<double> rotary = {};  // of partial_rotary_factor (read_rotary_width)
};

/// Grouped-query attention without biases and norms: heads, head width, scale head_dim^-0.5,
/// rotate-half rope.
AttentionConfig read_gqa(const JsonReader& json, const ModelConfig& config,
                         const GqaDefaults& defaults = {});

}  // namespace zeroth
