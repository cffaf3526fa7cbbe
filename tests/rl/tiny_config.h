// Configurations of models of a few thousand parameters.
#pragma once

#include <string>

#include "policy/model_config.h"

namespace zeroth {

/// Two dense layers in the shape of Qwen2; every tensor is trained.
inline ModelConfig tiny_config(int hidden_size = 16) {
  return parse_model_config(R"({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"],
    "vocab_size": 24, "hidden_size": )" +
                                std::to_string(hidden_size) +
                                R"(, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-06,
    "max_position_embeddings": 64, "rope_theta": 10000.0, "tie_word_embeddings": false,
    "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.02})",
                            "tiny qwen2");
}

/// A dense and an expert layer in the shape of DeepSeek-V3; the selection bias is frozen.
inline ModelConfig tiny_moe_config() {
  return parse_model_config(R"({"model_type": "deepseek_v3",
    "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 24, "hidden_size": 16,
    "intermediate_size": 24, "moe_intermediate_size": 8, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "n_routed_experts": 4, "n_shared_experts": 1,
    "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
    "scoring_func": "sigmoid", "topk_method": "noaux_tc", "norm_topk_prob": true,
    "routed_scaling_factor": 1.0, "q_lora_rank": null, "kv_lora_rank": 8, "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4, "v_head_dim": 4, "rms_norm_eps": 1e-06, "max_position_embeddings": 64,
    "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1,
    "eos_token_id": [2, 3], "initializer_range": 0.02})",
                            "tiny deepseek_v3");
}

}  // namespace zeroth
