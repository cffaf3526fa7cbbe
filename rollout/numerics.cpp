#include "rollout/numerics.h"

#include <utility>

#include "rollout/group_record.h"
#include "rollout/local_engine.h"
#include "system/file.h"

namespace zeroth {
namespace {

constexpr const char* kLatentModel = R"({
  "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
  "vocab_size": 61, "hidden_size": 56, "intermediate_size": 52, "moe_intermediate_size": 20,
  "num_hidden_layers": 2, "first_k_dense_replace": 1, "num_attention_heads": 3, "num_key_value_heads": 3,
  "q_lora_rank": 23, "kv_lora_rank": 19, "qk_nope_head_dim": 10, "qk_rope_head_dim": 6, "v_head_dim": 9,
  "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2,
  "norm_topk_prob": true, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
  "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-06, "tie_word_embeddings": false,
  "rope_theta": 10000.0, "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
  "initializer_range": 0.3,
  "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                   "mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 32, "beta_slow": 1}
})";

constexpr const char* kGroupedQueryModel = R"({
  "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
  "vocab_size": 61, "hidden_size": 56, "intermediate_size": 52, "num_hidden_layers": 1,
  "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 128,
  "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "rope_theta": 10000.0, "initializer_range": 0.3,
  "use_sliding_window": false, "bos_token_id": 1, "eos_token_id": 2
})";

constexpr std::uint64_t kSeed = 20;

void append_completions(const Context& context, Dtype dtype, const ModelConfig& config,
                        std::string& bytes) {
  Weights weights(config);
  initialize_weights(weights, config, kSeed);
  const PackedPolicy policy(config, weights, dtype, false);
  LocalEngine engine(context, policy, {.page_size = 16, .record_experts = true});
  std::vector<GenerateRequest> requests;
  for (const std::uint32_t length : {1, 7, 40}) {
    GenerateRequest& request = requests.emplace_back();
    request.num_generations = 6;
    request.problem = length;
    for (std::uint32_t t = 0; t < length; ++t)
      request.prompt.push_back(static_cast<std::int32_t>((7 * t + length) % 61));
  }
  const SamplingParams sampling{.temperature = 0.9, .max_new_tokens = 20, .seed = kSeed};
  for (const Group& group : engine.generate(requests, sampling)) append_group_record(bytes, group);
}

}  // namespace

std::vector<ModelConfig> numerics_probe_models() {
  ModelConfig expanded = parse_model_config(kLatentModel, "numerics probe");
  set_mla_prefix(expanded, MlaPrefix::expanded, "numerics probe");
  return {parse_model_config(kLatentModel, "numerics probe"), std::move(expanded),
          parse_model_config(kGroupedQueryModel, "numerics probe")};
}

std::string rollout_numerics(const Context& context, Dtype dtype) {
  std::string bytes;
  for (const ModelConfig& config : numerics_probe_models())
    append_completions(context, dtype, config, bytes);
  return std::string(dtype_name(dtype)) + "-" + sha256_hex(bytes).substr(0, 16);
}

}  // namespace zeroth
