#include "tools/architectures.h"

#include <boost/json/parse.hpp>
#include <filesystem>
#include <string_view>
#include <vector>

#include "system/error.h"
#include "system/json.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

// DeepSeek-V3's form at a size that trains in minutes on two cores: 0.8 M parameters. The initial
// weights are larger than the usual 0.02, which is for widths in the thousands: with 0.02 a run may
// wait thousands of steps before it attends to anything (docs/results/quickstart.md).
constexpr std::string_view kTinyMlaMoe = R"({
  "architectures": ["DeepseekV3ForCausalLM"],
  "model_type": "deepseek_v3",
  "hidden_size": 128,
  "num_hidden_layers": 2,
  "first_k_dense_replace": 1,
  "intermediate_size": 384,
  "num_attention_heads": 4,
  "num_key_value_heads": 4,
  "q_lora_rank": null,
  "kv_lora_rank": 64,
  "qk_nope_head_dim": 32,
  "qk_rope_head_dim": 16,
  "v_head_dim": 32,
  "moe_intermediate_size": 128,
  "n_routed_experts": 8,
  "num_experts_per_tok": 2,
  "n_shared_experts": 1,
  "moe_layer_freq": 1,
  "n_group": 1,
  "topk_group": 1,
  "scoring_func": "sigmoid",
  "topk_method": "noaux_tc",
  "norm_topk_prob": true,
  "routed_scaling_factor": 1.0,
  "num_nextn_predict_layers": 0,
  "hidden_act": "silu",
  "attention_bias": false,
  "attention_dropout": 0.0,
  "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0,
  "rope_interleave": true,
  "max_position_embeddings": 512,
  "initializer_range": 0.06,
  "tie_word_embeddings": false,
  "torch_dtype": "float32"
})";

// Qwen2's form, dense, of about the same cost a token.
constexpr std::string_view kTinyDense = R"({
  "architectures": ["Qwen2ForCausalLM"],
  "model_type": "qwen2",
  "hidden_size": 128,
  "num_hidden_layers": 4,
  "intermediate_size": 384,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "hidden_act": "silu",
  "attention_dropout": 0.0,
  "use_sliding_window": false,
  "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0,
  "max_position_embeddings": 2048,
  "initializer_range": 0.06,
  "tie_word_embeddings": false,
  "torch_dtype": "float32"
})";

// A student of tiny-mla-moe: dense, two fifths of its parameters.
constexpr std::string_view kTinyDenseStudent = R"({
  "architectures": ["Qwen2ForCausalLM"],
  "model_type": "qwen2",
  "hidden_size": 128,
  "num_hidden_layers": 2,
  "intermediate_size": 256,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "hidden_act": "silu",
  "attention_dropout": 0.0,
  "use_sliding_window": false,
  "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0,
  "max_position_embeddings": 2048,
  "initializer_range": 0.06,
  "tie_word_embeddings": false,
  "torch_dtype": "float32"
})";

struct NamedArchitecture {
  std::string_view name;
  std::string_view config;
};

constexpr NamedArchitecture kArchitectures[] = {{"tiny-mla-moe", kTinyMlaMoe},
                                                {"tiny-dense", kTinyDense},
                                                {"tiny-dense-student", kTinyDenseStudent}};

}  // namespace

boost::json::object architecture_config(const std::string& name) {
  std::vector<std::string> names;
  for (const NamedArchitecture& architecture : kArchitectures) {
    if (name == architecture.name) return boost::json::parse(architecture.config).as_object();
    names.emplace_back(architecture.name);
  }
  if (!std::filesystem::is_regular_file(name)) {
    const std::string nearest = nearest_name(name, names);
    throw InputError({.source = "--architecture",
                      .field = "",
                      .expected = nearest + ", another name that --help lists, or a config.json",
                      .actual = "\"" + name + "\", which is neither"});
  }
  const JsonReader config = JsonReader::read(name);
  if (!config.value().is_object()) config.fail("a JSON object");
  return config.value().as_object();
}

}  // namespace zeroth
