#include "policy/gguf/model_keys.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

struct Architecture {
  std::string_view model_type, name;
};
constexpr std::array kArchitectures = {
    Architecture{"llama", "llama"},           Architecture{"qwen2", "qwen2"},
    Architecture{"qwen3", "qwen3"},           Architecture{"qwen3_moe", "qwen3moe"},
    Architecture{"glm4_moe", "glm4moe"},      Architecture{"deepseek_v2", "deepseek2"},
    Architecture{"deepseek_v3", "deepseek2"}, Architecture{"kimi_k2", "deepseek2"},
};

// llama.cpp's llama_expert_gating_func_type.
constexpr std::uint32_t kSoftmaxGate = 1, kSigmoidGate = 2;

std::uint32_t u32(std::int64_t value) {
  return static_cast<std::uint32_t>(value);
}

float f32(double value) {
  return static_cast<float>(value);
}

class KeyWriter {
 public:
  KeyWriter(const ModelConfig& config, const std::string& source)
      : config_(config),
        architecture_(gguf_architecture(config, source)),
        json_(JsonReader::parse(config.hf_json, source + "/config.json")) {}

  std::vector<GgufEntry> write() {
    check_rope();
    check_experts();
    add_common();
    add_rope_scaling();
    add_heads();
    add_experts();
    if (architecture_ == "deepseek2") add_latent();
    if (architecture_ == "llama" || architecture_ == "deepseek2") {
      add("vocab_size", u32(config_.vocab_size));
    }
    if (architecture_ != "qwen2" && architecture_ != "qwen3" && architecture_ != "qwen3moe") {
      add("rope.dimension_count", u32(rope().dim));
    }
    return std::move(entries_);
  }

 private:
  const AttentionConfig& attention() const { return config_.layers[0].attention; }
  const RopeConfig& rope() const { return attention().rope; }
  bool is_latent() const { return attention().kind == AttentionKind::mla; }
  bool is_llama() const { return architecture_ == "llama"; }

  void add(const std::string& key, GgufValue value) {
    entries_.push_back({architecture_ + "." + key, std::move(value)});
  }

  [[noreturn]] void refuse(const std::string& field, const std::string& expected,
                           const std::string& actual) const {
    throw InputError(
        {.source = json_.source(), .field = field, .expected = expected, .actual = actual});
  }

  /// Where the scaling stands, in both spellings; theta may stand beside it.
  const JsonReader scaling() const {
    return json_.child(json_.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  }

  void check_rope() const {
    if (rope().scaling == RopeScaling::llama3 && !is_llama()) {
      refuse(
          "rope_scaling",
          "none, linear or yarn, since llama.cpp reads rope_freqs only for the architecture llama",
          "llama3 with " + config_.model_type);
    }
    if (rope().scaling != RopeScaling::yarn) return;
    const double factor = scaling().get_double("factor");
    // What ggml multiplies cos and sin by; latent attention has it in the softmax instead.
    const double expected = is_latent() ? 1.0 : 0.1 * std::log(factor) + 1.0;
    if (std::abs(rope().attention_factor - expected) > 1e-6) {
      refuse("rope_scaling",
             is_latent() ? "mscale equal to mscale_all_dim, which is what llama.cpp computes"
                         : "the attention_factor that follows from factor",
             json_number(rope().attention_factor) + " for cos and sin");
    }
  }

  /// llama.cpp's qwen3moe has experts in every layer and always normalises their weights.
  void check_experts() const {
    if (architecture_ != "qwen3moe") return;
    for (const LayerConfig& layer : config_.layers) {
      if (layer.ffn.kind != FfnKind::moe) {
        refuse("mlp_only_layers", "experts in every layer for llama.cpp's architecture qwen3moe",
               "dense layers");
      }
      if (!layer.ffn.norm_topk_prob) {
        refuse("norm_topk_prob", "true for llama.cpp's architecture qwen3moe", "false");
      }
    }
  }

  void add_common() {
    add("block_count", u32(static_cast<std::int64_t>(config_.layers.size())));
    add("context_length", u32(config_.max_position_embeddings));
    add("embedding_length", u32(config_.hidden_size));
    add("feed_forward_length", u32(json_.get_int64("intermediate_size")));
    add("attention.head_count", u32(attention().num_heads));
    add("attention.head_count_kv", u32(is_latent() ? 1 : attention().num_kv_heads));
    add("attention.layer_norm_rms_epsilon", f32(config_.rms_norm_eps));
    add("rope.freq_base", f32(rope().theta));
  }

  void add_rope_scaling() {
    if (rope().scaling != RopeScaling::linear && rope().scaling != RopeScaling::yarn) return;
    const JsonReader json = scaling();
    const bool yarn = rope().scaling == RopeScaling::yarn;
    add("rope.scaling.type", std::string(yarn ? "yarn" : "linear"));
    add("rope.scaling.factor", f32(json.get_double("factor")));
    if (!yarn) return;
    add("rope.scaling.original_context_length",
        u32(json.get_int64("original_max_position_embeddings", config_.max_position_embeddings)));
    for (const char* side : {"beta_fast", "beta_slow"}) {
      if (json.has(side)) {
        add(std::string("rope.scaling.yarn_") + side, f32(json.get_double(side)));
      }
    }
    // By how much each nat of the factor scales the logits; the converter takes 0.1 of it.
    if (is_latent() && json.has("mscale_all_dim")) {
      add("rope.scaling.yarn_log_multiplier", f32(0.1 * json.get_double("mscale_all_dim")));
    }
  }

  void add_heads() {
    const AttentionConfig& a = attention();
    if (is_latent()) {
      add("attention.key_length", u32(a.kv_lora_rank + a.qk_rope_head_dim));
      add("attention.value_length", u32(a.kv_lora_rank));
    } else if (architecture_ != "qwen2" || json_.has("head_dim")) {
      add("attention.key_length", u32(a.head_dim));
      add("attention.value_length", u32(a.head_dim));
    }
  }

  void add_latent() {
    const AttentionConfig& a = attention();
    // 0 is not read for 26 and 27 layers, and needed for others.
    add("attention.q_lora_rank", u32(a.q_lora_rank));
    add("attention.kv_lora_rank", u32(a.kv_lora_rank));
    add("attention.key_length_mla", u32(a.qk_nope_head_dim + a.qk_rope_head_dim));
    add("attention.value_length_mla", u32(a.v_head_dim));
  }

  void add_experts() {
    const auto moe = std::find_if(config_.layers.begin(), config_.layers.end(),
                                  [](const auto& l) { return l.ffn.kind == FfnKind::moe; });
    if (moe == config_.layers.end()) return add_dense_deepseek();
    const FfnConfig& ffn = moe->ffn;
    add("expert_count", u32(ffn.num_experts));
    add("expert_used_count", u32(ffn.num_experts_per_tok));
    add("expert_feed_forward_length", u32(ffn.intermediate_size));
    if (architecture_ == "qwen3moe") return;
    add("expert_group_count", u32(ffn.n_group));
    add("expert_group_used_count", u32(ffn.topk_group));
    add("expert_gating_func", ffn.scoring == RouterScoring::sigmoid ? kSigmoidGate : kSoftmaxGate);
    add("expert_shared_count", u32(ffn.num_shared_experts));
    add("expert_weights_scale", f32(ffn.routed_scaling_factor));
    if (ffn.norm_topk_prob || architecture_ == "glm4moe") {
      add("expert_weights_norm", ffn.norm_topk_prob);
    }
    add_leading_dense(moe - config_.layers.begin());
    // Modules that predict further tokens are left out.
    if (architecture_ == "glm4moe") add("nextn_predict_layers", std::uint32_t{0});
  }

  void add_leading_dense(std::int64_t count) {
    for (std::size_t i = static_cast<std::size_t>(count); i < config_.layers.size(); ++i) {
      if (config_.layers[i].ffn.kind == FfnKind::moe) continue;
      refuse("moe_layer_freq", "dense layers only before those with experts for llama.cpp",
             "layer " + std::to_string(i) + " dense");
    }
    add("leading_dense_block_count", u32(count));
  }

  /// llama.cpp asks for these of its deepseek2, experts or not.
  void add_dense_deepseek() {
    if (architecture_ == "glm4moe") {
      refuse("first_k_dense_replace", "layers with experts, which llama.cpp's glm4moe has",
             std::to_string(config_.layers.size()) + ", all layers");
    }
    if (architecture_ != "deepseek2") return;
    add("leading_dense_block_count", u32(static_cast<std::int64_t>(config_.layers.size())));
    add("expert_feed_forward_length", u32(json_.get_int64("intermediate_size")));
    add("expert_shared_count", std::uint32_t{0});
  }

  const ModelConfig& config_;
  std::string architecture_;
  JsonReader json_;
  std::vector<GgufEntry> entries_;
};

}  // namespace

std::string gguf_architecture(const ModelConfig& config, const std::string& source) {
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.model_type == config.model_type) return std::string(architecture.name);
    known += (known.empty() ? "" : ", ") + std::string(architecture.model_type);
  }
  throw InputError({.source = source + "/config.json",
                    .field = "model_type",
                    .expected = known + " for GGUF (--format hf writes this model)",
                    .actual = config.model_type});
}

std::vector<GgufEntry> gguf_model_keys(const ModelConfig& config, const std::string& source) {
  return KeyWriter(config, source).write();
}

std::vector<std::string> gguf_model_warnings(const ModelConfig& config) {
  std::vector<std::string> warnings;
  const auto groups_by_best = [](const LayerConfig& layer) {
    return layer.ffn.kind == FfnKind::moe && layer.ffn.n_group > 1 &&
           layer.ffn.group_score == GroupScore::best;
  };
  if (std::any_of(config.layers.begin(), config.layers.end(), groups_by_best)) {
    warnings.emplace_back(
        "groups of experts are chosen by their best expert here and by the sum of their two best "
        "in "
        "llama.cpp: it will choose others, and its completions will differ");
  }
  const AttentionConfig& attention = config.layers[0].attention;
  if (attention.kind == AttentionKind::mla && attention.lora_norm_eps != config.rms_norm_eps) {
    warnings.push_back("latents are normalised with an epsilon of " +
                       json_number(attention.lora_norm_eps) + " here and of " +
                       json_number(config.rms_norm_eps) + " (rms_norm_eps) in llama.cpp");
  }
  return warnings;
}

}  // namespace zeroth
