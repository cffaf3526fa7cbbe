#include "policy/families/experts.h"

#include "policy/families/common.h"

namespace zeroth {

FfnConfig read_experts(const JsonReader& json, std::string_view experts_key) {
  FfnConfig ffn;
  ffn.kind = FfnKind::moe;
  ffn.intermediate_size = read_size(json, "moe_intermediate_size");
  ffn.num_experts = read_size(json, experts_key, kMaxExperts);
  ffn.num_experts_per_tok = read_size(json, "num_experts_per_tok", kMaxExperts);
  if (ffn.num_experts_per_tok > ffn.num_experts) {
    json.fail("num_experts_per_tok",
              "at most " + std::string(experts_key) + " (" + std::to_string(ffn.num_experts) + ")");
  }
  return ffn;
}

void read_expert_groups(const JsonReader& json, std::int64_t fewest, FfnConfig& ffn) {
  ffn.n_group = read_size(json, "n_group", kMaxExperts);
  ffn.topk_group = read_size(json, "topk_group", kMaxExperts);
  if (ffn.num_experts % ffn.n_group != 0) {
    json.fail("n_group", "a divisor of n_routed_experts (" + std::to_string(ffn.num_experts) + ")");
  }
  if (ffn.topk_group > ffn.n_group) {
    json.fail("topk_group", "at most n_group (" + std::to_string(ffn.n_group) + ")");
  }
  const std::int64_t group_size = ffn.num_experts / ffn.n_group;
  if (ffn.n_group > 1 && group_size < fewest) {
    json.fail("n_group",
              "groups of at least two experts: a group's score is the sum of its two best");
  }
  if (ffn.num_experts_per_tok > ffn.topk_group * group_size) {
    json.fail("num_experts_per_tok", "at most the experts of topk_group groups (" +
                                         std::to_string(ffn.topk_group * group_size) + ")");
  }
}

FfnConfig read_sigmoid_experts(const JsonReader& json) {
  FfnConfig ffn = read_experts(json, "n_routed_experts");
  read_expert_groups(json, 2, ffn);
  ffn.group_score = GroupScore::two_best;
  ffn.num_shared_experts = read_size(json, "n_shared_experts", kMaxExperts);
  ffn.scoring = RouterScoring::sigmoid;
  ffn.norm_topk_prob = json.get_bool("norm_topk_prob", true);
  ffn.routed_scaling_factor = json.get_double("routed_scaling_factor");
  require_string(json, "scoring_func", "sigmoid");
  require_string(json, "topk_method", "noaux_tc");
  return ffn;
}

void set_layers(const JsonReader& json, const AttentionConfig& attention,
                FfnConfig (*read_moe)(const JsonReader&), ModelConfig& config) {
  const auto num_layers = static_cast<std::int64_t>(config.layers.size());
  const std::int64_t num_dense = json.get_int64("first_k_dense_replace");
  if (num_dense < 0 || num_dense > num_layers) {
    json.fail("first_k_dense_replace",
              "from 0 to num_hidden_layers (" + std::to_string(num_layers) + ")");
  }
  if (json.get_int64("moe_layer_freq", 1) != 1) {
    json.fail("moe_layer_freq", "1 (others are not supported)");
  }
  const FfnConfig dense = num_dense > 0 ? read_dense_ffn(json) : FfnConfig{};
  const FfnConfig moe = num_dense < num_layers ? read_moe(json) : FfnConfig{};
  for (std::int64_t n = 0; n < num_layers; ++n) {
    config.layers[static_cast<std::size_t>(n)] = {.attention = attention,
                                                  .ffn = n < num_dense ? dense : moe};
  }
}

}  // namespace zeroth
