// DeepSeek-V2 and V2-Lite (arXiv:2405.04434): multi-head latent attention and a mixture of experts
// chosen by softmax scores. DeepSeek-V3 (arXiv:2412.19437, sections 2.1.1 and 2.1.2), R1, Moonlight
// and Kimi-K2: the same with experts chosen by sigmoid scores plus a bias.
// Multi-token-prediction layers are not part of the model that is run: num_nextn_predict_layers
// tells which tensors of a checkpoint are theirs (policy/mtp_checkpoint.h).
#include <cmath>

#include "policy/families/common.h"
#include "policy/families/experts.h"
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
  const std::int64_t qk_width = attention.qk_nope_head_dim + attention.qk_rope_head_dim;
  if (json.get_int64("qk_head_dim", qk_width) != qk_width) {
    json.fail("qk_head_dim", std::to_string(qk_width) + ", qk_nope_head_dim + qk_rope_head_dim");
  }

  const RopeReading reading = read_rope(json, read_rotary_width(json, attention.qk_rope_head_dim),
                                        config.max_position_embeddings);
  attention.rope = reading.rope;
  attention.rope.interleaved = json.get_bool("rope_interleave", true);
  attention.softmax_scale = reading.softmax_scale_factor / std::sqrt(static_cast<double>(qk_width));
  return attention;
}

// Softmax scores weigh as they are; routed_scaling_factor makes up for those not chosen. A score is
// above zero, so that it is the same whether the experts of other groups count as 0, as
// transformers has it, or not at all.
FfnConfig read_v2_experts(const JsonReader& json) {
  FfnConfig ffn = read_experts(json, "n_routed_experts");
  const std::string method = json.get_string("topk_method", "greedy");
  if (method == "group_limited_greedy") {
    read_expert_groups(json, 1, ffn);
  } else if (method != "greedy") {
    json.fail("topk_method", "greedy or group_limited_greedy");
  }
  ffn.group_score = GroupScore::best;
  ffn.num_shared_experts = read_size(json, "n_shared_experts", kMaxExperts);
  ffn.scoring = RouterScoring::softmax;
  ffn.norm_topk_prob = false;
  ffn.routed_scaling_factor = json.get_double("routed_scaling_factor", 1.0);
  require_string(json, "scoring_func", "softmax");
  require_bool(json, "norm_topk_prob", false);
  return ffn;
}

}  // namespace

void read_deepseek_v2(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  require_bool(json, "mlp_bias", false);
  require_bool(json, "rope_interleave", true);
  set_layers(json, read_mla(json, config), read_v2_experts, config);
}

void read_deepseek_v3(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  set_layers(json, read_mla(json, config), read_sigmoid_experts, config);
}

}  // namespace zeroth
