// Small config.json texts for tests: every part of the architecture, sizes that a hand can check.
#pragma once

namespace zeroth::testing {

/// Two layers (one dense, one of 8 experts in 4 groups), MLA with q_lora, yarn.
inline constexpr const char* kTinyDeepseek = R"({
  "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
  "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 12,
  "num_hidden_layers": 2, "first_k_dense_replace": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
  "q_lora_rank": 10, "kv_lora_rank": 8, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 5,
  "n_routed_experts": 8, "n_shared_experts": 2, "num_experts_per_tok": 2, "n_group": 4, "topk_group": 2,
  "norm_topk_prob": true, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
  "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-06, "tie_word_embeddings": false,
  "rope_theta": 10000.0, "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
  "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                   "mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 32, "beta_slow": 1}
})";

/// Two layers, four query heads over two key heads, tied embeddings.
inline constexpr const char* kTinyQwen2 = R"({
  "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
  "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 128,
  "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "rope_theta": 10000.0,
  "use_sliding_window": false, "sliding_window": 64, "bos_token_id": 1, "eos_token_id": [2, 3]
})";

/// As kTinyDeepseek, with DeepSeek-V2's router: softmax, groups by their best, nothing normalised.
inline constexpr const char* kTinyDeepseekV2 = R"({
  "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2",
  "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 12,
  "num_hidden_layers": 2, "first_k_dense_replace": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
  "q_lora_rank": null, "kv_lora_rank": 8, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 5,
  "n_routed_experts": 8, "n_shared_experts": 2, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2,
  "norm_topk_prob": false, "routed_scaling_factor": 4.0, "scoring_func": "softmax",
  "topk_method": "group_limited_greedy", "moe_layer_freq": 1,
  "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-06, "tie_word_embeddings": false,
  "rope_theta": 10000.0, "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
  "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
                   "mscale": 0.707, "mscale_all_dim": 0.707, "beta_fast": 32, "beta_slow": 1}
})";

/// Two layers (one dense, one of 8 experts), grouped queries with biases and norms of which a half
/// turns.
inline constexpr const char* kTinyGlm4Moe = R"({
  "architectures": ["Glm4MoeForCausalLM"], "model_type": "glm4_moe",
  "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 12,
  "num_hidden_layers": 2, "first_k_dense_replace": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
  "head_dim": 8, "partial_rotary_factor": 0.5, "attention_bias": true, "use_qk_norm": true,
  "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
  "norm_topk_prob": true, "routed_scaling_factor": 2.5, "num_nextn_predict_layers": 0,
  "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "tie_word_embeddings": false,
  "rope_theta": 1000000.0, "rope_scaling": null, "bos_token_id": 1, "eos_token_id": 2
})";

/// Three layers of which the second has 6 experts and none is shared.
inline constexpr const char* kTinyQwen3Moe = R"({
  "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
  "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 12,
  "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
  "num_experts": 6, "num_experts_per_tok": 2, "norm_topk_prob": true, "decoder_sparse_step": 1,
  "mlp_only_layers": [0, 2], "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-06,
  "tie_word_embeddings": true, "rope_theta": 1000000.0, "attention_bias": false,
  "use_sliding_window": false, "bos_token_id": 1, "eos_token_id": 2
})";

/// One of each form of config.json above.
inline constexpr const char* kTinyConfigs[] = {kTinyDeepseek, kTinyQwen2, kTinyDeepseekV2,
                                               kTinyGlm4Moe, kTinyQwen3Moe};

}  // namespace zeroth::testing
