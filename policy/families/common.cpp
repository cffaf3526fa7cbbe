#include "policy/families/common.h"

#include <algorithm>
#include <cmath>

#include "policy/families/rope_scaling.h"
#include "policy/fp8_blocks.h"

namespace zeroth {
namespace {

constexpr std::int64_t kMaxPositions = std::int64_t{1} << 31;

double read_positive(const JsonReader& json, std::string_view key, double fallback) {
  const double value = json.get_double(key, fallback);
  if (!(value > 0.0)) json.fail(key, "a number above 0");
  return value;
}

void check_token_id(const JsonReader& id, std::int64_t vocab_size) {
  if (id.as_int64() < 0 || id.as_int64() >= vocab_size) {
    id.fail("a token id below vocab_size (" + std::to_string(vocab_size) + ")");
  }
}

void read_special_tokens(const JsonReader& json, ModelConfig& config) {
  if (json.has("bos_token_id")) {
    check_token_id(json.child("bos_token_id"), config.vocab_size);
    config.bos_token_id = json.get_int64("bos_token_id");
  }
  add_end_tokens(json, config);
}

}  // namespace

void add_end_tokens(const JsonReader& json, ModelConfig& config) {
  if (!json.has("eos_token_id")) return;
  const JsonReader eos = json.child("eos_token_id");
  const std::vector<JsonReader> ids =
      eos.value().is_array() ? eos.elements() : std::vector<JsonReader>{eos};
  std::vector<std::int64_t>& known = config.eos_token_ids;
  for (const JsonReader& id : ids) {
    check_token_id(id, config.vocab_size);
    if (std::find(known.begin(), known.end(), id.as_int64()) == known.end())
      known.push_back(id.as_int64());
  }
}

std::int64_t read_size(const JsonReader& json, std::string_view key, std::int64_t max) {
  const std::int64_t value = json.get_int64(key);
  if (value < 1 || value > max) json.fail(key, "an integer from 1 to " + std::to_string(max));
  return value;
}

void require_bool(const JsonReader& json, std::string_view key, bool supported) {
  if (json.get_bool(key, supported) != supported) {
    json.fail(key, std::string(supported ? "true" : "false") + " (the other is not supported)");
  }
}

void require_string(const JsonReader& json, std::string_view key, std::string_view supported) {
  if (json.get_string(key, supported) != supported) {
    json.fail(key, "\"" + std::string(supported) + "\" (others are not supported)");
  }
}

void require_absent(const JsonReader& json, std::string_view key, const std::string& reason) {
  if (json.has(key)) json.fail(key, "null or nothing (" + reason + ")");
}

void read_common(const JsonReader& json, ModelConfig& config) {
  config.vocab_size = read_size(json, "vocab_size");
  config.hidden_size = read_size(json, "hidden_size");
  config.max_position_embeddings = read_size(json, "max_position_embeddings", kMaxPositions);
  config.rms_norm_eps = read_positive(json, "rms_norm_eps", 1e-6);
  config.initializer_range = read_positive(json, "initializer_range", 0.02);
  config.tie_word_embeddings = json.get_bool("tie_word_embeddings", false);
  read_special_tokens(json, config);
  config.layers.resize(static_cast<std::size_t>(read_size(json, "num_hidden_layers", kMaxLayers)));
  config.num_nextn_predict_layers = json.get_int64("num_nextn_predict_layers", 0);
  if (config.num_nextn_predict_layers < 0 || config.num_nextn_predict_layers > kMaxMtpLayers) {
    json.fail("num_nextn_predict_layers", "from 0 to " + std::to_string(kMaxMtpLayers));
  }

  require_string(json, "hidden_act", "silu");
  config.fp8_blocks = read_fp8_blocks(json);
  if (json.get_double("attention_dropout", 0.0) != 0.0) {
    json.fail("attention_dropout", "0 (dropout is not supported)");
  }
  if (json.has("layer_types")) {
    const std::vector<JsonReader> types = json.child("layer_types").elements();
    if (types.size() != config.layers.size()) {
      json.fail("layer_types", "one type for each of num_hidden_layers (" +
                                   std::to_string(config.layers.size()) + ")");
    }
    for (const JsonReader& type : types) {
      if (type.as_string() != "full_attention") {
        type.fail("\"full_attention\" (others are not supported)");
      }
    }
  }
}

FfnConfig read_dense_ffn(const JsonReader& json) {
  FfnConfig ffn;
  ffn.kind = FfnKind::dense;
  ffn.intermediate_size = read_size(json, "intermediate_size");
  return ffn;
}

AttentionConfig read_gqa(const JsonReader& json, const ModelConfig& config,
                         const GqaDefaults& defaults) {
  AttentionConfig attention;
  attention.kind = AttentionKind::gqa;
  attention.num_heads = read_size(json, "num_attention_heads");
  attention.num_kv_heads = json.has("num_key_value_heads") ? read_size(json, "num_key_value_heads")
                                                           : attention.num_heads;
  if (attention.num_heads % attention.num_kv_heads != 0) {
    json.fail("num_key_value_heads",
              "a divisor of num_attention_heads (" + std::to_string(attention.num_heads) + ")");
  }
  if (json.has("head_dim")) {
    attention.head_dim = read_size(json, "head_dim", kMaxHeadWidth);
  } else if (defaults.head_dim != 0) {
    attention.head_dim = defaults.head_dim;
  } else {
    attention.head_dim = config.hidden_size / attention.num_heads;
    if (config.hidden_size % attention.num_heads != 0 || attention.head_dim > kMaxHeadWidth) {
      json.fail("hidden_size", "num_attention_heads (" + std::to_string(attention.num_heads) +
                                   ") heads of at most " + std::to_string(kMaxHeadWidth));
    }
  }
  if (attention.head_dim % 2 != 0) {
    json.fail(json.has("head_dim") ? "head_dim" : "hidden_size",
              "heads of an even width (for rope)");
  }
  attention.softmax_scale = 1.0 / std::sqrt(static_cast<double>(attention.head_dim));
  const std::int64_t rotated = read_rotary_width(json, attention.head_dim, defaults.rotary);
  attention.rope = read_rope(json, rotated, config.max_position_embeddings).rope;
  return attention;
}

}  // namespace zeroth
