// The tensors of a checkpoint under Hugging Face's names, which the supported families share.
#include <utility>

#include "policy/model_config.h"

namespace zeroth {
namespace {

class TensorList {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape) {
    tensors_.push_back({.name = name, .shape = std::move(shape)});
  }
  /// A linear layer from `in` to `out`.
  void linear(const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".weight", {out, in});
  }
  void norm(const std::string& name, std::int64_t width) { add(name + ".weight", {width}); }
  std::vector<TensorSpec> take() { return std::move(tensors_); }

 private:
  std::vector<TensorSpec> tensors_;
};

void add_gqa(TensorList& list, const std::string& prefix, const AttentionConfig& a,
             std::int64_t D) {
  const std::int64_t q_width = a.num_heads * a.head_dim;
  const std::int64_t kv_width = a.num_kv_heads * a.head_dim;
  for (const auto& [name, width] : {std::pair("q_proj", q_width), std::pair("k_proj", kv_width),
                                    std::pair("v_proj", kv_width)}) {
    list.linear(prefix + name, width, D);
    if (a.qkv_bias) list.add(prefix + name + ".bias", {width});
  }
  if (a.qk_norm) {
    list.norm(prefix + "q_norm", a.head_dim);
    list.norm(prefix + "k_norm", a.head_dim);
  }
  list.linear(prefix + "o_proj", D, q_width);
}

void add_mla(TensorList& list, const std::string& prefix, const AttentionConfig& a,
             std::int64_t D) {
  const std::int64_t q_width = a.num_heads * (a.qk_nope_head_dim + a.qk_rope_head_dim);
  if (a.q_lora_rank == 0) {
    list.linear(prefix + "q_proj", q_width, D);
  } else {
    list.linear(prefix + "q_a_proj", a.q_lora_rank, D);
    list.norm(prefix + "q_a_layernorm", a.q_lora_rank);
    list.linear(prefix + "q_b_proj", q_width, a.q_lora_rank);
  }
  list.linear(prefix + "kv_a_proj_with_mqa", a.kv_lora_rank + a.qk_rope_head_dim, D);
  list.norm(prefix + "kv_a_layernorm", a.kv_lora_rank);
  list.linear(prefix + "kv_b_proj", a.num_heads * (a.qk_nope_head_dim + a.v_head_dim),
              a.kv_lora_rank);
  list.linear(prefix + "o_proj", D, a.num_heads * a.v_head_dim);
}

void add_swiglu(TensorList& list, const std::string& prefix, std::int64_t width, std::int64_t D) {
  list.linear(prefix + "gate_proj", width, D);
  list.linear(prefix + "up_proj", width, D);
  list.linear(prefix + "down_proj", D, width);
}

void add_moe(TensorList& list, const std::string& prefix, const FfnConfig& f, std::int64_t D) {
  list.linear(prefix + "gate", f.num_experts, D);
  if (f.scoring == RouterScoring::sigmoid) {
    list.add(prefix + "gate.e_score_correction_bias", {f.num_experts});
  }
  for (std::int64_t e = 0; e < f.num_experts; ++e) {
    add_swiglu(list, prefix + "experts." + std::to_string(e) + ".", f.intermediate_size, D);
  }
  if (f.num_shared_experts > 0) {
    add_swiglu(list, prefix + "shared_experts.", f.num_shared_experts * f.intermediate_size, D);
  }
}

void add_layer(TensorList& list, const std::string& prefix, const LayerConfig& layer,
               std::int64_t D) {
  list.norm(prefix + "input_layernorm", D);
  if (layer.attention.kind == AttentionKind::mla) {
    add_mla(list, prefix + "self_attn.", layer.attention, D);
  } else {
    add_gqa(list, prefix + "self_attn.", layer.attention, D);
  }
  list.norm(prefix + "post_attention_layernorm", D);
  if (layer.ffn.kind == FfnKind::moe) {
    add_moe(list, prefix + "mlp.", layer.ffn, D);
  } else {
    add_swiglu(list, prefix + "mlp.", layer.ffn.intermediate_size, D);
  }
}

void add_mtp(TensorList& list, const std::string& prefix, const MtpConfig& mtp,
             const ModelConfig& config) {
  const std::int64_t D = config.hidden_size;
  if (mtp.own_embedding) list.linear(prefix + "embed_tokens", config.vocab_size, D);
  list.norm(prefix + "enorm", D);
  list.norm(prefix + "hnorm", D);
  list.linear(prefix + "eh_proj", D, 2 * D);
  add_layer(list, prefix, config.layers.back(), D);
  list.norm(prefix + "shared_head.norm", D);
  if (mtp.own_head) list.linear(prefix + "shared_head.head", config.vocab_size, D);
}

}  // namespace

std::string layer_prefix(std::size_t index) {
  return "model.layers." + std::to_string(index) + ".";
}

std::vector<TensorSpec> model_tensors(const ModelConfig& config) {
  const std::int64_t D = config.hidden_size;
  TensorList list;
  list.linear("model.embed_tokens", config.vocab_size, D);
  for (std::size_t n = 0; n < config.layers.size(); ++n)
    add_layer(list, layer_prefix(n), config.layers[n], D);
  list.norm("model.norm", D);
  if (!config.tie_word_embeddings) list.linear("lm_head", config.vocab_size, D);
  for (std::size_t k = 0; k < config.mtp.size(); ++k)
    add_mtp(list, layer_prefix(config.layers.size() + k), config.mtp[k], config);
  return list.take();
}

}  // namespace zeroth
