#include "policy/gguf_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "policy/gguf_tokenizer.h"
#include "system/error.h"

namespace zeroth {
namespace {

struct NamePair {
  std::string_view hugging_face, llama_cpp;
};

// Of the whole model, and of a layer behind "model.layers.N." and "blk.N.".
constexpr std::array kModelNames = {
    NamePair{"model.embed_tokens", "token_embd"},
    NamePair{"model.norm", "output_norm"},
    NamePair{"lm_head", "output"},
};
constexpr std::array kLayerNames = {
    NamePair{"input_layernorm", "attn_norm"},    NamePair{"self_attn.q_proj", "attn_q"},
    NamePair{"self_attn.k_proj", "attn_k"},      NamePair{"self_attn.v_proj", "attn_v"},
    NamePair{"self_attn.q_norm", "attn_q_norm"}, NamePair{"self_attn.k_norm", "attn_k_norm"},
    NamePair{"self_attn.o_proj", "attn_output"}, NamePair{"post_attention_layernorm", "ffn_norm"},
    NamePair{"mlp.gate_proj", "ffn_gate"},       NamePair{"mlp.up_proj", "ffn_up"},
    NamePair{"mlp.down_proj", "ffn_down"},
};

template <class Names>
std::string renamed(const Names& names, std::string_view name, const std::string& prefix) {
  const std::size_t dot = name.rfind('.');  // before "weight" or "bias"
  for (const NamePair& pair : names) {
    if (name.substr(0, dot) == pair.hugging_face) {
      return prefix + std::string(pair.llama_cpp) + std::string(name.substr(dot));
    }
  }
  throw std::invalid_argument("gguf_model: a tensor without a name in llama.cpp: " +
                              std::string(name));
}

std::string llama_cpp_name(std::string_view name) {
  constexpr std::string_view kLayers = "model.layers.";
  if (!name.starts_with(kLayers)) return renamed(kModelNames, name, "");
  name.remove_prefix(kLayers.size());
  const std::size_t dot = name.find('.');
  return renamed(kLayerNames, name.substr(dot + 1),
                 "blk." + std::string(name.substr(0, dot)) + ".");
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

std::uint32_t u32(std::int64_t value) {
  return static_cast<std::uint32_t>(value);
}

// llama.cpp's llama_ftype.
std::uint32_t file_type(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return 0;
    case GgufType::f16:
      return 1;
    case GgufType::q8_0:
      return 7;
    case GgufType::bf16:
      return 32;
    default:
      break;
  }
  throw std::invalid_argument("gguf_model: a type without a file type");
}

class ModelWriter {
 public:
  ModelWriter(const ModelConfig& config, const Weights& weights, const GgufModelOptions& options)
      : config_(config), weights_(weights), options_(options) {}

  GgufModel write(const Tokenizer& tokenizer) {
    check_architecture();
    check_rope();
    add_metadata();
    for (GgufEntry& entry :
         gguf_tokenizer(tokenizer, config_, options_.chat_template, options_.source)) {
      model_.metadata.push_back(std::move(entry));
    }
    for (const WeightTensor& tensor : weights_.tensors()) add_tensor(tensor);
    add_rope_factors();
    return std::move(model_);
  }

 private:
  const AttentionConfig& attention() const { return config_.layers[0].attention; }
  const RopeConfig& rope() const { return attention().rope; }
  bool is_llama() const { return config_.model_type == "llama"; }

  [[noreturn]] void refuse(const std::string& field, const std::string& expected,
                           const std::string& actual) const {
    throw InputError({.source = options_.source + "/config.json",
                      .field = field,
                      .expected = expected,
                      .actual = actual});
  }

  void check_architecture() const {
    if (is_llama() || config_.model_type == "qwen2" || config_.model_type == "qwen3") return;
    refuse("model_type",
           "qwen2, qwen3 or llama for GGUF (latent attention and experts would be llama.cpp's "
           "architecture deepseek2, whose merged expert tensors and split kv_b_proj are not "
           "written; --format hf writes this model)",
           config_.model_type);
  }

  void check_rope() const {
    const RopeScaling scaling = rope().scaling;
    if (scaling == RopeScaling::yarn) {
      refuse("rope_scaling", "none, linear or llama3 for GGUF", "yarn");
    }
    if (scaling == RopeScaling::llama3 && !is_llama()) {
      refuse("rope_scaling",
             "none or linear, since llama.cpp reads rope_freqs only for the architecture llama",
             "llama3 with " + config_.model_type);
    }
  }

  /// How much slower pair i turns than without scaling.
  double slowed(std::size_t pair) const {
    const double plain =
        std::pow(rope().theta, -2.0 * static_cast<double>(pair) / static_cast<double>(rope().dim));
    return plain / rope().inv_freq[pair];
  }

  void add(const std::string& key, GgufValue value) {
    model_.metadata.push_back({key, std::move(value)});
  }

  void add_metadata() {
    const std::string& architecture = config_.model_type;  // the same three words
    const std::string prefix = architecture + ".";
    const auto& [attention, ffn] = config_.layers[0];
    add("general.architecture", architecture);
    add("general.type", std::string("model"));
    if (!options_.name.empty()) add("general.name", options_.name);
    add("general.file_type", file_type(options_.type));
    add("general.quantization_version", std::uint32_t{2});
    add(prefix + "block_count", u32(static_cast<std::int64_t>(config_.layers.size())));
    add(prefix + "context_length", u32(config_.max_position_embeddings));
    add(prefix + "embedding_length", u32(config_.hidden_size));
    add(prefix + "feed_forward_length", u32(ffn.intermediate_size));
    add(prefix + "attention.head_count", u32(attention.num_heads));
    add(prefix + "attention.head_count_kv", u32(attention.num_kv_heads));
    add(prefix + "attention.key_length", u32(attention.head_dim));
    add(prefix + "attention.value_length", u32(attention.head_dim));
    add(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config_.rms_norm_eps));
    add(prefix + "rope.dimension_count", u32(rope().dim));
    add(prefix + "rope.freq_base", static_cast<float>(rope().theta));
    if (rope().scaling == RopeScaling::linear) {
      add(prefix + "rope.scaling.type", std::string("linear"));
      add(prefix + "rope.scaling.factor", static_cast<float>(slowed(0)));
    }
    add(prefix + "vocab_size", u32(config_.vocab_size));
  }

  GgufType type_of(const WeightTensor& tensor) const {
    if (tensor.shape.size() == 1) return GgufType::f32;
    const bool whole = options_.type != GgufType::q8_0 || tensor.shape.back() % kGgufBlock == 0;
    return whole ? options_.type : GgufType::f16;
  }

  void check_values(const WeightTensor& tensor, GgufType type) const {
    const bool narrow = type == GgufType::f16 || type == GgufType::q8_0;
    const float most = narrow ? kMaxF16 : kMaxBf16;
    for (const float value : weights_[tensor.name]) {
      if (std::abs(value) <= most) continue;
      throw InputError({.source = options_.source,
                        .field = tensor.name,
                        .expected = "numbers that " + std::string(gguf_type_name(type)) +
                                    " can hold, up to " + std::to_string(most),
                        .actual = std::to_string(value)});
    }
  }

  void add_tensor(const WeightTensor& tensor) {
    const GgufType type = type_of(tensor);
    check_values(tensor, type);
    const bool rotated = is_llama() && (tensor.name.ends_with("q_proj.weight") ||
                                        tensor.name.ends_with("k_proj.weight"));
    const std::span<const float> values = weights_[tensor.name];
    const std::int64_t head_dim = attention().head_dim;
    const std::int64_t width = tensor.shape.back();
    model_.tensors.push_back({.name = llama_cpp_name(tensor.name),
                              .type = type,
                              .shape = tensor.shape,
                              .values = [values, rotated, head_dim, width]() -> std::vector<float> {
                                if (rotated) return interleave_pairs(values, head_dim, width);
                                return {values.begin(), values.end()};
                              }});
  }

  void add_rope_factors() {
    if (rope().scaling != RopeScaling::llama3) return;
    std::vector<float> factors;
    for (std::size_t i = 0; i < rope().inv_freq.size(); ++i) {
      factors.push_back(static_cast<float>(slowed(i)));
    }
    model_.tensors.push_back({.name = "rope_freqs.weight",
                              .type = GgufType::f32,
                              .shape = {static_cast<std::int64_t>(factors.size())},
                              .values = [factors] { return factors; }});
  }

  const ModelConfig& config_;
  const Weights& weights_;
  const GgufModelOptions& options_;
  GgufModel model_;
};

}  // namespace

GgufModel gguf_model(const ModelConfig& config, const Weights& weights, const Tokenizer& tokenizer,
                     const GgufModelOptions& options) {
  return ModelWriter(config, weights, options).write(tokenizer);
}

}  // namespace zeroth
