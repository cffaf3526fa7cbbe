// What the families with experts share: how many there are, how they are grouped, and which layers
// have them.
#pragma once

#include "policy/model_config.h"
#include "system/json.h"

namespace zeroth {

/// Routed experts: moe_intermediate_size, the number in `experts_key`, and num_experts_per_tok,
/// chosen without groups. Scores, weights and shared experts are left to the family.
FfnConfig read_experts(const JsonReader& json, std::string_view experts_key);

/// n_group and topk_group. A group has at least `fewest` experts, since its score is made of so
/// many.
void read_expert_groups(const JsonReader& json, std::int64_t fewest, FfnConfig& ffn);

/// The router that DeepSeek-V3 and GLM-4.5 share: sigmoid scores and a bias, groups by their two
/// best, n_shared_experts beside.
FfnConfig read_sigmoid_experts(const JsonReader& json);

/// Gives all layers `attention`, the first first_k_dense_replace of them a dense ffn and the others
/// what `read_moe` reads; what no layer needs is not read.
void set_layers(const JsonReader& json, const AttentionConfig& attention,
                FfnConfig (*read_moe)(const JsonReader&), ModelConfig& config);

}  // namespace zeroth
