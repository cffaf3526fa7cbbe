#include "policy/model_config.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <string>

#include "policy/families/families.h"
#include "policy/safetensors.h"
#include "system/error.h"
#include "system/json.h"
#include "tests/support/fixtures.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

using testing::kTinyDeepseek;
using testing::kTinyDeepseekV2;
using testing::kTinyGlm4Moe;
using testing::kTinyQwen2;
using testing::kTinyQwen3Moe;

/// `text` with `from`, which must be there, replaced by `to`.
std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("not in the text: " + from);
  return text.replace(at, from.size(), to);
}

ModelConfig parse(const std::string& text) {
  return parse_model_config(text, "config.json");
}

std::string field_of_error(const std::string& text) {
  try {
    parse(text);
  } catch (const InputError& error) {
    return error.parts().field;
  }
  return "(no error)";
}

std::map<std::string, std::vector<std::int64_t>> tensor_shapes(const ModelConfig& config) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const TensorSpec& spec : model_tensors(config)) shapes[spec.name] = spec.shape;
  return shapes;
}

TEST_CASE("model_config: a DeepSeek-V3 config by hand", "[policy]") {
  const ModelConfig config = parse(kTinyDeepseek);
  REQUIRE(config.layers.size() == 2);
  const AttentionConfig& attention = config.layers[0].attention;
  CHECK(attention.kind == AttentionKind::mla);
  CHECK(attention.q_lora_rank == 10);
  CHECK(attention.kv_lora_rank == 8);
  CHECK(attention.rope.dim == 4);
  CHECK(attention.rope.interleaved);
  CHECK(attention.lora_norm_eps == 1e-6);
  CHECK(config.layers[0].ffn.kind == FfnKind::dense);
  CHECK(config.layers[0].ffn.intermediate_size == 24);
  const FfnConfig& moe = config.layers[1].ffn;
  CHECK(moe.kind == FfnKind::moe);
  CHECK(moe.intermediate_size == 12);
  CHECK(moe.num_experts == 8);
  CHECK(moe.num_shared_experts == 2);
  CHECK(moe.topk_group == 2);
  CHECK(moe.routed_scaling_factor == 2.5);
  CHECK(config.bos_token_id == 1);
  CHECK(config.eos_token_ids == std::vector<std::int64_t>{2});
  CHECK(config.hf_json == kTinyDeepseek);
}

TEST_CASE("model_config: a Qwen2 config by hand, with a list of end tokens", "[policy]") {
  const ModelConfig config = parse(kTinyQwen2);
  const AttentionConfig& attention = config.layers.at(1).attention;
  CHECK(attention.kind == AttentionKind::gqa);
  CHECK(attention.head_dim == 4);
  CHECK(attention.num_kv_heads == 2);
  CHECK(attention.qkv_bias);
  CHECK_FALSE(attention.qk_norm);
  CHECK(attention.softmax_scale == 0.5);
  CHECK(attention.rope.inv_freq == std::vector<double>{1.0, 0.01});
  CHECK(attention.rope.attention_factor == 1.0);
  CHECK_FALSE(attention.rope.interleaved);
  CHECK(config.tie_word_embeddings);
  CHECK(config.eos_token_ids == std::vector<std::int64_t>{2, 3});
}

TEST_CASE("model_config: a DeepSeek-V2 config by hand, grouped and greedy", "[policy]") {
  const ModelConfig config = parse(kTinyDeepseekV2);
  const AttentionConfig& attention = config.layers[1].attention;
  CHECK(attention.kind == AttentionKind::mla);
  CHECK(attention.q_lora_rank == 0);
  CHECK(attention.rope.interleaved);
  CHECK(attention.rope.attention_factor == 1.0);
  CHECK(attention.softmax_scale ==
        Approx(std::pow(0.0707 * std::log(40.0) + 1, 2) / std::sqrt(10.0)));
  const FfnConfig& moe = config.layers[1].ffn;
  CHECK(moe.scoring == RouterScoring::softmax);
  CHECK(moe.group_score == GroupScore::best);
  CHECK(moe.n_group == 4);
  CHECK(moe.topk_group == 2);
  CHECK_FALSE(moe.norm_topk_prob);
  CHECK(moe.routed_scaling_factor == 4.0);
  CHECK(moe.num_shared_experts == 2);
  const auto shapes = tensor_shapes(config);
  CHECK_FALSE(shapes.contains("model.layers.1.mlp.gate.e_score_correction_bias"));
  // V2-Lite: groups are written and mean nothing.
  const FfnConfig lite =
      parse(with(kTinyDeepseekV2, "group_limited_greedy", "greedy")).layers[1].ffn;
  CHECK(lite.n_group == 1);
  CHECK(lite.topk_group == 1);
}

TEST_CASE("model_config: a GLM-4.5 config by hand, and what it takes by default", "[policy]") {
  const ModelConfig config = parse(kTinyGlm4Moe);
  const AttentionConfig& attention = config.layers[0].attention;
  CHECK(attention.kind == AttentionKind::gqa);
  CHECK(attention.qkv_bias);
  CHECK(attention.qk_norm);
  CHECK(attention.head_dim == 8);
  CHECK(attention.rope.dim == 4);
  CHECK(attention.rope.inv_freq == std::vector<double>{1.0, 1e-3});
  CHECK_FALSE(attention.rope.interleaved);
  CHECK(config.layers[0].ffn.kind == FfnKind::dense);
  const FfnConfig& moe = config.layers[1].ffn;
  CHECK(moe.scoring == RouterScoring::sigmoid);
  CHECK(moe.norm_topk_prob);
  CHECK(moe.num_shared_experts == 1);
  std::string bare = with(kTinyGlm4Moe,
                          R"("partial_rotary_factor": 0.5, "attention_bias": true, )"
                          R"("use_qk_norm": true,)",
                          "");
  bare = with(bare, R"("rms_norm_eps": 1e-05, )", "");
  const AttentionConfig plain = parse(bare).layers[0].attention;
  CHECK(plain.rope.dim == 4);
  CHECK_FALSE(plain.qkv_bias);
  CHECK_FALSE(plain.qk_norm);
  CHECK(parse(bare).rms_norm_eps == 1e-5);
  // transformers 5 writes it beside theta.
  const std::string inside =
      with(with(kTinyGlm4Moe, R"("partial_rotary_factor": 0.5,)", ""), R"("rope_scaling": null)",
           R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.75})");
  CHECK(parse(inside).layers[0].attention.rope.dim == 6);
}

TEST_CASE("model_config: a Qwen3-MoE config by hand, and which of its layers are dense",
          "[policy]") {
  const ModelConfig config = parse(kTinyQwen3Moe);
  CHECK(config.layers[0].attention.qk_norm);
  CHECK_FALSE(config.layers[0].attention.qkv_bias);
  const FfnConfig& moe = config.layers[1].ffn;
  CHECK(moe.num_experts == 6);
  CHECK(moe.scoring == RouterScoring::softmax);
  CHECK(moe.norm_topk_prob);
  CHECK(moe.num_shared_experts == 0);
  CHECK(moe.n_group == 1);
  CHECK_FALSE(tensor_shapes(config).contains("model.layers.1.mlp.shared_experts.gate_proj.weight"));
  const auto dense = [](const std::string& text) {
    std::string kinds;
    for (const LayerConfig& layer : parse(text).layers)
      kinds += layer.ffn.kind == FfnKind::dense ? 'd' : 'e';
    return kinds;
  };
  const std::string q = kTinyQwen3Moe;
  CHECK(dense(q) == "ded");
  CHECK(dense(with(q, "[0, 2]", "[]")) == "eee");
  CHECK(dense(with(q, "[0, 2]", "null")) == "eee");
  CHECK(dense(with(with(q, "[0, 2]", "[]"), R"("decoder_sparse_step": 1)",
                   R"("decoder_sparse_step": 2)")) == "ded");
  CHECK(dense(with(with(q, "[0, 2]", "[1]"), R"("decoder_sparse_step": 1)",
                   R"("decoder_sparse_step": 2)")) == "ddd");
  CHECK_FALSE(parse(with(q, R"("norm_topk_prob": true, )", "")).layers[1].ffn.norm_topk_prob);
  // transformers 5 writes another name.
  CHECK(parse(with(q, R"("num_experts")", R"("num_local_experts")")).layers[1].ffn.num_experts ==
        6);
}

// DeepSeek-V3's and Kimi-K2's published softmax scales.
TEST_CASE("model_config: yarn's factors of DeepSeek-V3 and Kimi-K2", "[policy]") {
  std::string v3 = with(kTinyDeepseek, R"("qk_nope_head_dim": 6, "qk_rope_head_dim": 4)",
                        R"("qk_nope_head_dim": 128, "qk_rope_head_dim": 64)");
  const AttentionConfig attention = parse(v3).layers[0].attention;
  CHECK(attention.softmax_scale == Approx(0.135234).epsilon(1e-5));
  CHECK(attention.rope.attention_factor == 1.0);

  const std::string k2 = with(with(v3, R"("factor": 40)", R"("factor": 32)"), R"("beta_fast": 32)",
                              R"("beta_fast": 1)");
  const AttentionConfig k2_attention = parse(k2).layers[0].attention;
  CHECK(k2_attention.softmax_scale * std::sqrt(192.0) == Approx(1.81326).epsilon(1e-5));

  const std::string v2 = with(with(v3, R"("mscale": 1.0)", R"("mscale": 0.707)"),
                              R"("mscale_all_dim": 1.0)", R"("mscale_all_dim": 0.707)");
  CHECK(parse(v2).layers[0].attention.softmax_scale * std::sqrt(192.0) ==
        Approx(1.58962).epsilon(1e-5));
}

// Widths of DeepSeek-V3: dim 64, theta 10000, context 4096. corr(32) = 64 ln(4096 / 64π) / 2 ln
// 10000 = 10.47, corr(1) = 22.51: pairs up to 10 keep their frequency, those from 23 on are divided
// by 40.
TEST_CASE("model_config: yarn keeps fast pairs, slows the slow ones and ramps between",
          "[policy]") {
  const std::string text =
      with(kTinyDeepseek, R"("qk_rope_head_dim": 4)", R"("qk_rope_head_dim": 64)");
  const std::vector<double> inv_freq = parse(text).layers[0].attention.rope.inv_freq;
  REQUIRE(inv_freq.size() == 32);
  const auto plain = [](int i) { return std::pow(10000.0, -i / 32.0); };
  CHECK(inv_freq[10] == Approx(plain(10)).epsilon(1e-14));
  CHECK(inv_freq[23] == Approx(plain(23) / 40).epsilon(1e-14));
  CHECK(inv_freq[31] == Approx(plain(31) / 40).epsilon(1e-14));
  const double slowed = (16.0 - 10.0) / 13.0;
  CHECK(inv_freq[16] == Approx(plain(16) * (1 - slowed) + plain(16) / 40 * slowed).epsilon(1e-14));
}

// Kimi-K2: beta_fast = beta_slow = 1, so that floor and ceil of one number bound the ramp: here 22
// and 23.
TEST_CASE("model_config: yarn with equal betas is a step", "[policy]") {
  const std::string text =
      with(with(kTinyDeepseek, R"("qk_rope_head_dim": 4)", R"("qk_rope_head_dim": 64)"),
           R"("beta_fast": 32)", R"("beta_fast": 1)");
  const std::vector<double> inv_freq = parse(text).layers[0].attention.rope.inv_freq;
  CHECK(inv_freq[22] == Approx(std::pow(10000.0, -22 / 32.0)).epsilon(1e-14));
  CHECK(inv_freq[23] == Approx(std::pow(10000.0, -23 / 32.0) / 40).epsilon(1e-14));
}

TEST_CASE("model_config: attention_factor given, from mscale, and by default", "[policy]") {
  const auto factor_with = [](const std::string& replacement) {
    const std::string text =
        with(kTinyDeepseek, R"("mscale": 1.0, "mscale_all_dim": 1.0,)", replacement);
    return parse(text).layers[0].attention.rope.attention_factor;
  };
  CHECK(factor_with(R"("attention_factor": 1.25,)") == 1.25);
  CHECK(factor_with("") == Approx(0.1 * std::log(40.0) + 1));
  CHECK(factor_with(R"("mscale": 2.0, "mscale_all_dim": 1.0,)") ==
        Approx((0.2 * std::log(40.0) + 1) / (0.1 * std::log(40.0) + 1)));
}

TEST_CASE("model_config: llama3 keeps short waves, slows long ones and mixes between", "[policy]") {
  const std::string text =
      R"({"model_type": "llama", "vocab_size": 8, "hidden_size": 128, "intermediate_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 131072, "rope_theta": 500000.0,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192}})";
  const AttentionConfig attention = parse(text).layers[0].attention;
  CHECK_FALSE(attention.qkv_bias);
  const auto plain = [](int i) { return std::pow(500000.0, -i / 64.0); };
  CHECK(attention.rope.inv_freq[0] == 1.0);
  CHECK(attention.rope.inv_freq[63] == Approx(plain(63) / 8).epsilon(1e-14));
  const double turns = 8192 * plain(32) / (2 * M_PI);  // 1.84: between the factors
  const double smooth = (turns - 1.0) / 3.0;
  CHECK(attention.rope.inv_freq[32] ==
        Approx((1 - smooth) * plain(32) / 8 + smooth * plain(32)).epsilon(1e-14));
}

TEST_CASE("model_config: rope_parameters is the same as rope_theta with rope_scaling", "[policy]") {
  const std::string old_spelling = kTinyDeepseek;
  std::string new_spelling =
      with(old_spelling, R"("rope_theta": 10000.0,)", R"("dtype": "float32",)");
  new_spelling = with(new_spelling, R"("rope_scaling": {"type": "yarn")",
                      R"("rope_parameters": {"rope_theta": 10000.0, "rope_type": "yarn")");
  const RopeConfig a = parse(old_spelling).layers[0].attention.rope;
  const RopeConfig b = parse(new_spelling).layers[0].attention.rope;
  CHECK(a.inv_freq == b.inv_freq);
  CHECK(a.attention_factor == b.attention_factor);
  const std::string theta =
      with(kTinyQwen2, R"("rope_theta": 10000.0)",
           R"("rope_parameters": {"rope_theta": 400.0, "rope_type": "default"})");
  CHECK(parse(theta).layers[0].attention.rope.inv_freq == std::vector<double>{1.0, 0.05});
}

TEST_CASE("model_config: what is missing, mistyped or not supported is named", "[policy]") {
  const std::string d = kTinyDeepseek, q = kTinyQwen2;
  CHECK(field_of_error(with(d, R"("model_type": "deepseek_v3")", R"("model_type": "mamba")")) ==
        "model_type");
  CHECK(field_of_error(with(d, R"("hidden_size": 16,)", "")) == "hidden_size");
  CHECK(field_of_error(with(d, R"("hidden_size": 16,)", R"("hidden_size": "16",)")) ==
        "hidden_size");
  CHECK(field_of_error(with(d, R"("hidden_size": 16,)", R"("hidden_size": 0,)")) == "hidden_size");
  CHECK(field_of_error(with(d, R"("q_lora_rank": 10,)", "")) == "q_lora_rank");
  CHECK(field_of_error(with(d, R"("hidden_act": "silu")", R"("hidden_act": "gelu")")) ==
        "hidden_act");
  CHECK(field_of_error(with(d, R"("attention_bias": false)", R"("attention_bias": true)")) ==
        "attention_bias");
  CHECK(field_of_error(with(d, R"("sigmoid")", R"("softmax")")) == "scoring_func");
  CHECK(field_of_error(with(d, R"("noaux_tc")", R"("greedy")")) == "topk_method");
  CHECK(field_of_error(with(d, R"("n_group": 4)", R"("n_group": 3)")) == "n_group");
  CHECK(field_of_error(with(d, R"("n_group": 4)", R"("n_group": 8)")) == "n_group");
  CHECK(field_of_error(with(d, R"("topk_group": 2)", R"("topk_group": 5)")) == "topk_group");
  CHECK(field_of_error(with(d, R"("num_experts_per_tok": 2)", R"("num_experts_per_tok": 5)")) ==
        "num_experts_per_tok");
  CHECK(field_of_error(with(d, R"("first_k_dense_replace": 1)", R"("first_k_dense_replace": 3)")) ==
        "first_k_dense_replace");
  CHECK(field_of_error(with(d, R"("num_key_value_heads": 2)", R"("num_key_value_heads": 1)")) ==
        "num_key_value_heads");
  CHECK(field_of_error(with(d, R"("qk_rope_head_dim": 4)", R"("qk_rope_head_dim": 3)")) ==
        "qk_rope_head_dim");
  CHECK(field_of_error(with(d, R"("type": "yarn")", R"("type": "dynamic")")) ==
        "rope_scaling.type");
  CHECK(field_of_error(with(d, R"("factor": 40)", R"("factor": -1)")) == "rope_scaling.factor");
  CHECK(field_of_error(with(d, R"("eos_token_id": 2)", R"("eos_token_id": 40)")) == "eos_token_id");
  CHECK(field_of_error(with(d, R"("attention_bias": false)", R"("moe_layer_freq": 2)")) ==
        "moe_layer_freq");
  CHECK(field_of_error(with(d, R"("attention_bias": false)", R"("quantization_config": {})")) ==
        "quantization_config.quant_method");
  CHECK(field_of_error(with(q, R"("use_sliding_window": false)",
                            R"("use_sliding_window": true)")) == "use_sliding_window");
  CHECK(field_of_error(with(q, R"("use_sliding_window": false)",
                            R"("layer_types": ["sliding_attention", "full_attention"])")) ==
        "layer_types[0]");
  CHECK(field_of_error(with(q, R"("num_key_value_heads": 2)", R"("num_key_value_heads": 3)")) ==
        "num_key_value_heads");
  CHECK(field_of_error(with(q, R"("num_attention_heads": 4)", R"("num_attention_heads": 6)")) ==
        "hidden_size");
  CHECK(field_of_error(with(q, "[2, 3]", "[2, true]")) == "eos_token_id[1]");
  CHECK_THROWS_WITH(parse(with(q, R"("qwen2")", R"("mamba")")),
                    Catch::Contains("deepseek_v2, deepseek_v3, kimi_k2, glm4_moe, qwen2"));
}

TEST_CASE("model_config: what the families with other routers refuse is named", "[policy]") {
  const std::string v2 = kTinyDeepseekV2, glm = kTinyGlm4Moe, qwen = kTinyQwen3Moe;
  CHECK(field_of_error(with(v2, R"("softmax")", R"("sigmoid")")) == "scoring_func");
  CHECK(field_of_error(with(v2, "group_limited_greedy", "noaux_tc")) == "topk_method");
  CHECK(field_of_error(with(v2, R"("norm_topk_prob": false)", R"("norm_topk_prob": true)")) ==
        "norm_topk_prob");
  CHECK(field_of_error(with(v2, R"("n_group": 4, )", "")) == "n_group");
  CHECK(field_of_error(with(v2, R"("topk_group": 2)", R"("topk_group": 1)")) ==
        "num_experts_per_tok");
  CHECK(field_of_error(with(v2, R"("moe_layer_freq": 1)", R"("mlp_bias": true)")) == "mlp_bias");
  CHECK(field_of_error(with(v2, R"("moe_layer_freq": 1)", R"("rope_interleave": false)")) ==
        "rope_interleave");
  CHECK(field_of_error(with(glm, "factor\": 0.5", "factor\": 0.6")) == "(no error)");
  CHECK(field_of_error(with(glm, "factor\": 0.5", "factor\": 0.4")) == "partial_rotary_factor");
  CHECK(field_of_error(with(glm, "factor\": 0.5", "factor\": 0")) == "partial_rotary_factor");
  CHECK(field_of_error(with(glm, "factor\": 0.5", "factor\": 1.5")) == "partial_rotary_factor");
  CHECK(field_of_error(with(glm, R"("n_routed_experts": 8, )", "")) == "n_routed_experts");
  CHECK(field_of_error(with(glm, R"("first_k_dense_replace": 1, )", "")) ==
        "first_k_dense_replace");
  CHECK(field_of_error(with(qwen, R"("num_experts": 6, )", "")) == "num_experts");
  CHECK(field_of_error(with(qwen, R"("num_experts": 6)",
                            R"("num_local_experts": 5, "num_experts": 6)")) == "num_local_experts");
  CHECK(field_of_error(with(qwen, R"("num_experts_per_tok": 2)", R"("num_experts_per_tok": 7)")) ==
        "num_experts_per_tok");
  CHECK(field_of_error(with(qwen, "[0, 2]", "[0, 3]")) == "mlp_only_layers[1]");
  CHECK(field_of_error(with(qwen, R"("decoder_sparse_step": 1)", R"("decoder_sparse_step": 0)")) ==
        "decoder_sparse_step");
  CHECK(field_of_error(with(qwen, R"("moe_intermediate_size": 12,)", "")) ==
        "moe_intermediate_size");
  CHECK(field_of_error(with(qwen, R"("attention_bias": false)", R"("attention_bias": true)")) ==
        "attention_bias");
}

TEST_CASE("model_config: fields that contradict each other are named", "[policy]") {
  const std::string d = kTinyDeepseek, q = kTinyQwen2;
  CHECK(field_of_error(with(d, R"("attention_bias": false)", R"("qk_head_dim": 12)")) ==
        "qk_head_dim");
  CHECK(field_of_error(with(d, R"("attention_bias": false)", R"("qk_head_dim": 10)")) ==
        "(no error)");
  CHECK(field_of_error(with(d, R"("type": "yarn")", R"("type": "yarn", "rope_type": "linear")")) ==
        "rope_scaling.type");
  CHECK(field_of_error(with(d, R"("type": "yarn")", R"("type": "yarn", "rope_theta": 500)")) ==
        "rope_theta");
  CHECK(field_of_error(with(d, R"("attention_bias": false)", R"("partial_rotary_factor": 0.5)")) ==
        "partial_rotary_factor");
  CHECK(
      field_of_error(with(
          q, R"("rope_theta": 10000.0)",
          R"("rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"type": "default"})")) ==
      "rope_scaling");
  CHECK(field_of_error(with(q, R"("use_sliding_window": false)",
                            R"("layer_types": ["full_attention"])")) == "layer_types");
}

TEST_CASE("model_config: multi-token-prediction layers and defaults do not stand in the way",
          "[policy]") {
  const std::string text =
      with(kTinyDeepseek, R"("attention_bias": false, "bos_token_id": 1, "eos_token_id": 2)",
           R"("num_nextn_predict_layers": 1, "eos_token_id": null)");
  const ModelConfig config = parse(text);
  CHECK(config.layers.size() == 2);
  CHECK(config.bos_token_id == -1);
  CHECK(config.eos_token_ids.empty());
}

TEST_CASE("model_tensors: names and shapes of a mixture layer by hand", "[policy]") {
  const auto shapes = tensor_shapes(parse(kTinyDeepseek));
  using Shape = std::vector<std::int64_t>;
  CHECK(shapes.at("model.layers.1.self_attn.q_a_proj.weight") == Shape{10, 16});
  CHECK(shapes.at("model.layers.1.self_attn.q_a_layernorm.weight") == Shape{10});
  CHECK(shapes.at("model.layers.1.self_attn.q_b_proj.weight") == Shape{20, 10});
  CHECK(shapes.at("model.layers.1.self_attn.kv_a_proj_with_mqa.weight") == Shape{12, 16});
  CHECK(shapes.at("model.layers.1.self_attn.kv_b_proj.weight") == Shape{22, 8});
  CHECK(shapes.at("model.layers.1.self_attn.o_proj.weight") == Shape{16, 10});
  CHECK(shapes.at("model.layers.1.mlp.gate.weight") == Shape{8, 16});
  CHECK(shapes.at("model.layers.1.mlp.gate.e_score_correction_bias") == Shape{8});
  CHECK(shapes.at("model.layers.1.mlp.experts.7.down_proj.weight") == Shape{16, 12});
  CHECK(shapes.at("model.layers.1.mlp.shared_experts.up_proj.weight") == Shape{24, 16});
  CHECK(shapes.at("model.layers.0.mlp.gate_proj.weight") == Shape{24, 16});
  CHECK(shapes.at("lm_head.weight") == Shape{40, 16});
  CHECK(shapes.size() == model_tensors(parse(kTinyDeepseek)).size());
}

TEST_CASE("model_tensors: full-rank q, biases and tied embeddings follow the config", "[policy]") {
  const auto full =
      tensor_shapes(parse(with(kTinyDeepseek, R"("q_lora_rank": 10)", R"("q_lora_rank": null)")));
  CHECK(full.contains("model.layers.0.self_attn.q_proj.weight"));
  CHECK_FALSE(full.contains("model.layers.0.self_attn.q_a_proj.weight"));
  const auto qwen = tensor_shapes(parse(kTinyQwen2));
  CHECK(qwen.at("model.layers.0.self_attn.k_proj.bias") == std::vector<std::int64_t>{8});
  CHECK_FALSE(qwen.contains("model.layers.0.self_attn.o_proj.bias"));
  CHECK_FALSE(qwen.contains("lm_head.weight"));
}

TEST_CASE("model_config: a key that stands twice, and more experts than any model has, are refused",
          "[policy]") {
  CHECK_THROWS_WITH(
      parse(with(kTinyQwen2, R"("hidden_size": 16,)", R"("hidden_size": 16, "hidden_size": 32,)")),
      Catch::Contains("\"hidden_size\" twice in an object"));
  const std::string many =
      with(kTinyDeepseek, R"("n_routed_experts": 8)", R"("n_routed_experts": 8192)");
  CHECK(
      parse(with(many, R"("num_hidden_layers": 2)", R"("num_hidden_layers": 33)")).layers.size() ==
      33);
  CHECK_THROWS_WITH(
      parse(with(many, R"("num_hidden_layers": 2)", R"("num_hidden_layers": 34)")),
      Catch::Contains("num_hidden_layers: expected layers with at most 262144 experts"));
}

TEST_CASE("model_config: a number that no double holds is refused wherever it stands", "[policy]") {
  const auto with_number = [](const std::string& number) {
    return with(
        kTinyQwen2, R"("hidden_size": 16,)",
        R"("hidden_size": 16, "quantization_config": {"quant_method": "fp8"}, "other": [{"x": )" +
            number + "}],");
  };
  CHECK(field_of_error(with_number("1e999")) == "other[0].x");
  CHECK(parse(with_number("1e99")).fp8_blocks.rows == 128);
}

TEST_CASE("model_config: damaged configs parse or are an InputError", "[policy]") {
  int num_parsed = 0;
  for (const char* text : testing::kTinyConfigs) {
    for (unsigned seed = 0; seed < 2000; ++seed) {
      try {
        parse(testing::mutate(text, seed));
        ++num_parsed;
      } catch (const InputError&) {
      }
    }
  }
  CHECK(num_parsed > 0);
  CHECK(num_parsed < 10'000);
}

TEST_CASE("model_config: every checkpoint has the tensors that are called for", "[fixtures]") {
  int num_checked = 0;
  for (const auto& directory : testing::fixtures_in("model_parity")) {
    if (!std::filesystem::exists(directory / "config.json")) continue;
    CAPTURE(directory.string());
    const ModelConfig config = read_model_config(directory / "config.json");
    const SafetensorsCheckpoint checkpoint(directory);
    for (const TensorSpec& spec : model_tensors(config)) {
      CAPTURE(spec.name);
      const TensorBytes* tensor = checkpoint.find(spec.name).tensor;
      REQUIRE(tensor != nullptr);
      CHECK(tensor->shape == spec.shape);
    }
    ++num_checked;
  }
  if (num_checked == 0) WARN("skipped: no model_parity checkpoints in ZEROTH_FIXTURES");
}

TEST_CASE("model_config: generation_config.json says what else ends a completion", "[policy]") {
  const testing::TemporaryDirectory directory;
  const auto file = directory / "config.json";
  std::ofstream(file) << testing::kTinyQwen2;
  const ModelConfig alone = read_model_config(file);
  const auto with = [&](const std::string& ends) {
    std::ofstream(directory / "generation_config.json") << "{\"eos_token_id\": " + ends + "}";
    return read_model_config(file).eos_token_ids;
  };
  std::vector<std::int64_t> expected = alone.eos_token_ids;
  CHECK(with("null") == expected);
  CHECK(with(std::to_string(expected.at(0))) == expected);
  expected.push_back(9);
  CHECK(with("9") == expected);
  CHECK(with("[9, " + std::to_string(expected[0]) + ", 9]") == expected);
  CHECK(read_model_config(file).hf_json == alone.hf_json);  // saved as it was
  CHECK_THROWS_WITH(
      with("[1, 100000]"),
      Catch::Contains("generation_config.json: eos_token_id[1]: expected a token id"));
}

TEST_CASE("model_config: expanded prompts are for latent attention only", "[policy]") {
  ModelConfig latent = parse(kTinyDeepseek);
  CHECK(latent.layers[1].attention.mla_prefix == MlaPrefix::absorbed);
  set_mla_prefix(latent, MlaPrefix::expanded, "here");
  for (const LayerConfig& layer : latent.layers)
    CHECK(layer.attention.mla_prefix == MlaPrefix::expanded);
  ModelConfig dense = parse(kTinyQwen2);
  set_mla_prefix(dense, MlaPrefix::absorbed, "here");
  CHECK_THROWS_WITH(set_mla_prefix(dense, MlaPrefix::expanded, "here"),
                    Catch::Contains("mla_prefix") && Catch::Contains("absorbed") &&
                        Catch::Contains("here") && Catch::Contains("qwen2"));
}

}  // namespace
}  // namespace zeroth
