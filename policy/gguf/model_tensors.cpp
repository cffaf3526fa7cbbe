#include "policy/gguf/model_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "policy/gguf/model_keys.h"
#include "system/error.h"

namespace zeroth {
namespace {

struct NamePair {
  std::string_view hugging_face, llama_cpp;
};

// Of the whole model, and of a layer behind "model.layers.N." and "blk.N.".
constexpr std::array kModelNames = {
    NamePair{"model.embed_tokens.weight", "token_embd.weight"},
    NamePair{"model.norm.weight", "output_norm.weight"},
    NamePair{"lm_head.weight", "output.weight"},
};
constexpr std::array kLayerNames = {
    NamePair{"input_layernorm.weight", "attn_norm.weight"},
    NamePair{"self_attn.q_proj.weight", "attn_q.weight"},
    NamePair{"self_attn.k_proj.weight", "attn_k.weight"},
    NamePair{"self_attn.v_proj.weight", "attn_v.weight"},
    NamePair{"self_attn.q_proj.bias", "attn_q.bias"},
    NamePair{"self_attn.k_proj.bias", "attn_k.bias"},
    NamePair{"self_attn.v_proj.bias", "attn_v.bias"},
    NamePair{"self_attn.q_norm.weight", "attn_q_norm.weight"},
    NamePair{"self_attn.k_norm.weight", "attn_k_norm.weight"},
    NamePair{"self_attn.o_proj.weight", "attn_output.weight"},
    NamePair{"self_attn.q_a_proj.weight", "attn_q_a.weight"},
    NamePair{"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
    NamePair{"self_attn.q_b_proj.weight", "attn_q_b.weight"},
    NamePair{"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
    NamePair{"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
    NamePair{"post_attention_layernorm.weight", "ffn_norm.weight"},
    NamePair{"mlp.gate_proj.weight", "ffn_gate.weight"},
    NamePair{"mlp.up_proj.weight", "ffn_up.weight"},
    NamePair{"mlp.down_proj.weight", "ffn_down.weight"},
    NamePair{"mlp.gate.weight", "ffn_gate_inp.weight"},
    NamePair{"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
    NamePair{"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
    NamePair{"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
    NamePair{"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
    NamePair{"mlp.experts.0.gate_proj.weight", "ffn_gate_exps.weight"},
    NamePair{"mlp.experts.0.up_proj.weight", "ffn_up_exps.weight"},
    NamePair{"mlp.experts.0.down_proj.weight", "ffn_down_exps.weight"},
};

constexpr std::string_view kExperts = "mlp.experts.";
constexpr std::string_view kFirstExpert = "mlp.experts.0.";

std::string_view renamed(std::span<const NamePair> names, std::string_view name) {
  for (const NamePair& pair : names) {
    if (name == pair.hugging_face) return pair.llama_cpp;
  }
  throw std::invalid_argument("gguf: a tensor without a name in llama.cpp: " + std::string(name));
}

/// Row s * half + j of every head becomes row 2 j + s.
std::vector<float> interleave_pairs(std::span<const float> rows, std::int64_t head_dim,
                                    std::int64_t width) {
  std::vector<float> out(rows.size());
  const std::int64_t num_rows = static_cast<std::int64_t>(rows.size()) / width;
  const std::int64_t half = head_dim / 2;
  for (std::int64_t row = 0; row < num_rows; ++row) {
    const std::int64_t in_head = row % head_dim;
    const std::int64_t to = row - in_head + 2 * (in_head % half) + in_head / half;
    std::copy_n(rows.begin() + row * width, width, out.begin() + to * width);
  }
  return out;
}

/// Of kv_b_proj [H (nope + v), R] the keys' part, each head's transposed: [H, R, nope].
std::vector<float> keys_of(std::span<const float> kv_b, const AttentionConfig& a) {
  const std::int64_t R = a.kv_lora_rank, nope = a.qk_nope_head_dim;
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(a.num_heads * R * nope));
  for (std::int64_t head = 0; head < a.num_heads; ++head) {
    const float* rows = kv_b.data() + head * (nope + a.v_head_dim) * R;
    for (std::int64_t r = 0; r < R; ++r) {
      for (std::int64_t i = 0; i < nope; ++i) out.push_back(rows[i * R + r]);
    }
  }
  return out;
}

/// And the values' part: [H, v, R].
std::vector<float> values_of(std::span<const float> kv_b, const AttentionConfig& a) {
  const std::int64_t R = a.kv_lora_rank, nope = a.qk_nope_head_dim;
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(a.num_heads * a.v_head_dim * R));
  for (std::int64_t head = 0; head < a.num_heads; ++head) {
    const float* rows = kv_b.data() + (head * (nope + a.v_head_dim) + nope) * R;
    out.insert(out.end(), rows, rows + a.v_head_dim * R);
  }
  return out;
}

class TensorWriter {
 public:
  TensorWriter(const ModelConfig& config, const Weights& weights, GgufFileType type,
               const std::string& source)
      : config_(config),
        weights_(weights),
        architecture_(gguf_architecture(config, source)),
        source_(source) {
    mix_ = {.type = type,
            .num_layers = static_cast<std::int64_t>(config.layers.size()),
            .num_experts = 0,
            .tied = config.tie_word_embeddings};
    for (const LayerConfig& layer : config.layers) {
      mix_.num_experts = std::max(mix_.num_experts, layer.ffn.num_experts);
    }
  }

  std::vector<GgufSource> write() {
    for (const WeightTensor& tensor : weights_.tensors()) add_tensor(tensor);
    add_rope_factors();
    return std::move(tensors_);
  }

 private:
  void add_tensor(const WeightTensor& tensor) {
    constexpr std::string_view kLayers = "model.layers.";
    std::string_view name = tensor.name;
    if (!name.starts_with(kLayers)) {
      return add(std::string(renamed(kModelNames, name)), tensor.shape, tensor, whole(tensor));
    }
    name.remove_prefix(kLayers.size());
    std::size_t layer = 0;
    std::from_chars(name.data(), name.data() + name.size(), layer);
    if (layer >= config_.layers.size()) return;  // predicts further tokens
    const std::size_t dot = name.find('.');
    add_layer_tensor(config_.layers[layer], "blk." + std::string(name.substr(0, dot)) + ".",
                     name.substr(dot + 1), tensor);
  }

  void add_layer_tensor(const LayerConfig& layer, const std::string& block, std::string_view name,
                        const WeightTensor& tensor) {
    const AttentionConfig& a = layer.attention;
    const std::span<const float> values = weights_[tensor.name];
    if (name == "self_attn.kv_b_proj.weight") {
      add(block + "attn_k_b.weight", {a.num_heads, a.kv_lora_rank, a.qk_nope_head_dim}, tensor,
          [values, a] { return keys_of(values, a); });
      add(block + "attn_v_b.weight", {a.num_heads, a.v_head_dim, a.kv_lora_rank}, tensor,
          [values, a] { return values_of(values, a); });
      return;
    }
    if (name.starts_with(kExperts) && !name.starts_with(kFirstExpert)) return;  // with the first
    std::string to = block + std::string(renamed(kLayerNames, name));
    if (name.starts_with(kFirstExpert)) return add_experts(to, layer.ffn, name, tensor);
    if (architecture_ == "glm4moe" && name == "post_attention_layernorm.weight") {
      to = block + "post_attention_norm.weight";
    }
    const bool rotated = architecture_ == "llama" &&
                         (name == "self_attn.q_proj.weight" || name == "self_attn.k_proj.weight");
    if (!rotated) return add(to, tensor.shape, tensor, whole(tensor));
    const std::int64_t width = tensor.shape.back();
    add(to, tensor.shape, tensor, [values, head_dim = a.head_dim, width] {
      return interleave_pairs(values, head_dim, width);
    });
  }

  /// `name` is that of the first.
  void add_experts(const std::string& to, const FfnConfig& ffn, std::string_view name,
                   const WeightTensor& first) {
    const std::string before = first.name.substr(0, first.name.size() - name.size());
    const std::string behind(name.substr(kFirstExpert.size()));
    std::vector<std::int64_t> shape = first.shape;
    shape.insert(shape.begin(), ffn.num_experts);
    std::vector<std::span<const float>> parts;
    for (std::int64_t e = 0; e < ffn.num_experts; ++e) {
      const std::string expert = before + std::string(kExperts) + std::to_string(e) + "." + behind;
      check(weights_.tensor(expert), gguf_tensor_type(mix_, to, shape));
      parts.push_back(weights_[expert]);
    }
    add(to, shape, first, [parts] {
      std::vector<float> all;
      all.reserve(parts.size() * parts[0].size());
      for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
      return all;
    });
  }

  void add_rope_factors() {
    const RopeConfig& rope = config_.layers[0].attention.rope;
    if (rope.scaling != RopeScaling::llama3) return;
    std::vector<float> factors;
    for (std::size_t i = 0; i < rope.inv_freq.size(); ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rope.dim);
      factors.push_back(static_cast<float>(std::pow(rope.theta, exponent) / rope.inv_freq[i]));
    }
    tensors_.push_back({.name = "rope_freqs.weight",
                        .type = GgufType::f32,
                        .shape = {static_cast<std::int64_t>(factors.size())},
                        .values = [factors] { return factors; }});
  }

  std::function<std::vector<float>()> whole(const WeightTensor& tensor) const {
    const std::span<const float> values = weights_[tensor.name];
    return [values] { return std::vector<float>(values.begin(), values.end()); };
  }

  void add(const std::string& name, std::vector<std::int64_t> shape, const WeightTensor& from,
           std::function<std::vector<float>()> values) {
    const GgufType type = gguf_tensor_type(mix_, name, shape);
    check(from, type);
    tensors_.push_back(
        {.name = name, .type = type, .shape = std::move(shape), .values = std::move(values)});
  }

  void check(const WeightTensor& tensor, GgufType type) const {
    const float most = gguf_largest(type);
    for (const float value : weights_[tensor.name]) {
      if (std::abs(value) <= most) continue;
      throw InputError({.source = source_,
                        .field = tensor.name,
                        .expected = "numbers that " + std::string(gguf_type_name(type)) +
                                    " can hold, up to " + std::to_string(most),
                        .actual = std::to_string(value)});
    }
  }

  const ModelConfig& config_;
  const Weights& weights_;
  std::string architecture_;
  const std::string& source_;
  GgufMix mix_;
  std::vector<GgufSource> tensors_;
};

}  // namespace

std::vector<GgufSource> gguf_model_tensors(const ModelConfig& config, const Weights& weights,
                                           GgufFileType type, const std::string& source) {
  return TensorWriter(config, weights, type, source).write();
}

}  // namespace zeroth
