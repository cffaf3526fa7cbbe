// DeepSeek-V3 (arXiv:2412.19437, sections 2.1.1 and 2.1.2), R1, Moonlight and Kimi-K2: multi-head
// latent attention and a mixture of experts chosen by sigmoid scores plus a bias.
// Multi-token-prediction layers are not part of the model that is run: num_nextn_predict_layers
// only tells load_weights which extra tensors a checkpoint may hold.
#include <cmath>

#include "policy/families/common.h"
#include "policy/families/families.h"
#include "policy/families/rope_scaling.h"

namespace zeroth {
namespace {

AttentionConfig read_mla(const JsonReader& json, const ModelConfig& config) {
  AttentionConfig attention;
  attention.kind = AttentionKind::mla;
  attention.num_heads = read_size(json, "num_attention_heads");
  if (json.get_int64("num_key_value_heads", attention.num_heads) != attention.num_heads) {
    json.fail("num_key_value_heads", "num_attention_heads (" + std::to_string(attention.num_heads) +
                                         "): every head has its own keys");
  }
  if (!json.contains("q_lora_rank"))
    json.fail("q_lora_rank", "an integer, or null for one full-rank q_proj");
  if (json.has("q_lora_rank")) attention.q_lora_rank = read_size(json, "q_lora_rank");
  attention.kv_lora_rank = read_size(json, "kv_lora_rank");
  attention.qk_nope_head_dim = read_size(json, "qk_nope_head_dim", kMaxHeadWidth);
  attention.qk_rope_head_dim = read_size(json, "qk_rope_head_dim", kMaxHeadWidth);
  if (attention.qk_rope_head_dim % 2 != 0) json.fail("qk_rope_head_dim", "an even number");
  attention.v_head_dim = read_size(json, "v_head_dim", kMaxHeadWidth);
  require_bool(json, "attention_bias", false);

  const RopeReading reading =
      read_rope(json, attention.qk_rope_head_dim, config.max_position_embeddings);
  attention.rope = reading.rope;
  attention.rope.interleaved = json.get_bool("rope_interleave", true);
  const auto qk_head_dim =
      static_cast<double>(attention.qk_nope_head_dim + attention.qk_rope_head_dim);
  attention.softmax_scale = reading.softmax_scale_factor / std::sqrt(qk_head_dim);
  return attention;
}

FfnConfig read_moe(const JsonReader& json) {
  FfnConfig ffn;
  ffn.kind = FfnKind::moe;
  ffn.intermediate_size = read_size(json, "moe_intermediate_size");
  ffn.num_experts = read_size(json, "n_routed_experts", kMaxExperts);
  ffn.num_experts_per_tok = read_size(json, "num_experts_per_tok", kMaxExperts);
  ffn.num_shared_experts = read_size(json, "n_shared_experts", kMaxExperts);
  ffn.n_group = read_size(json, "n_group", kMaxExperts);
  ffn.topk_group = read_size(json, "topk_group", kMaxExperts);
  ffn.scoring = RouterScoring::sigmoid;
  ffn.norm_topk_prob = json.get_bool("norm_topk_prob", true);
  ffn.routed_scaling_factor = json.get_double("routed_scaling_factor");
  require_string(json, "scoring_func", "sigmoid");
  require_string(json, "topk_method", "noaux_tc");
  if (json.get_int64("moe_layer_freq", 1) != 1) {
    json.fail("moe_layer_freq", "1 (others are not supported)");
  }

  const std::string experts = " (" + std::to_string(ffn.num_experts) + ")";
  if (ffn.num_experts % ffn.n_group != 0)
    json.fail("n_group", "a divisor of n_routed_experts" + experts);
  if (ffn.topk_group > ffn.n_group) {
    json.fail("topk_group", "at most n_group (" + std::to_string(ffn.n_group) + ")");
  }
  const std::int64_t group_size = ffn.num_experts / ffn.n_group;
  if (ffn.n_group > 1 && group_size < 2) {
    json.fail("n_group",
              "groups of at least two experts: a group's score is the sum of its two best");
  }
  if (ffn.num_experts_per_tok > ffn.topk_group * group_size) {
    json.fail("num_experts_per_tok", "at most the experts of topk_group groups (" +
                                         std::to_string(ffn.topk_group * group_size) + ")");
  }
  return ffn;
}

}  // namespace

void read_deepseek_v3(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  const auto num_layers = static_cast<std::int64_t>(config.layers.size());
  const std::int64_t num_dense = json.get_int64("first_k_dense_replace");
  if (num_dense < 0 || num_dense > num_layers) {
    json.fail("first_k_dense_replace",
              "from 0 to num_hidden_layers (" + std::to_string(num_layers) + ")");
  }
  const AttentionConfig attention = read_mla(json, config);
  const FfnConfig dense = num_dense > 0 ? read_dense_ffn(json) : FfnConfig{};
  const FfnConfig moe = num_dense < num_layers ? read_moe(json) : FfnConfig{};
  for (std::int64_t n = 0; n < num_layers; ++n) {
    config.layers[static_cast<std::size_t>(n)] = {.attention = attention,
                                                  .ffn = n < num_dense ? dense : moe};
  }
}

}  // namespace zeroth
