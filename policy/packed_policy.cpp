#include "policy/packed_policy.h"

#include <cmath>
#include <utility>

namespace zeroth {
namespace {

MatrixView view(const Weights& weights, const std::string& name) {
  const WeightTensor& tensor = weights.tensor(name);
  return {.data = weights.values().data() + tensor.offset,
          .rows = tensor.shape[0],
          .columns = tensor.shape[1],
          .row = tensor.shape[1],
          .column = 1};
}

MatrixView transposed(const MatrixView& v) {
  return {.data = v.data, .rows = v.columns, .columns = v.rows, .row = v.column, .column = v.row};
}

bool same_rope(const RopeConfig& a, const RopeConfig& b) {
  return a.inv_freq == b.inv_freq && a.attention_factor == b.attention_factor;
}

}  // namespace

std::string_view dtype_name(Dtype dtype) {
  return dtype == Dtype::bfloat16 ? "bfloat16" : "float32";
}

PackedPolicy::Names PackedPolicy::model_names(const ModelConfig& config) {
  return {.first_layer = 0,
          .embedding = "model.embed_tokens.weight",
          .norm = "model.norm.weight",
          .head = config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"};
}

PackedPolicy::Names PackedPolicy::mtp_names(const ModelConfig& config, std::size_t depth) {
  const Names model = model_names(config);
  const MtpConfig& mtp = config.mtp[depth];
  const std::size_t layer = config.layers.size() + depth;
  const std::string prefix = layer_prefix(layer);
  return {.first_layer = layer,
          .embedding = mtp.own_embedding ? prefix + "embed_tokens.weight" : model.embedding,
          .norm = prefix + "shared_head.norm.weight",
          .head = mtp.own_head ? prefix + "shared_head.head.weight" : model.head};
}

PackedPolicy::PackedPolicy(const ModelConfig& config, const Weights& weights, Dtype dtype,
                           bool for_training)
    : PackedPolicy(config, weights, dtype, for_training, model_names(config)) {
  if (!for_training) return;
  ModelConfig module = config;
  module.layers = {config.layers.back()};
  module.mtp.clear();
  for (std::size_t depth = 0; depth < config.mtp.size(); ++depth)
    mtp_.push_back(PackedPolicy(module, weights, dtype, for_training, mtp_names(config, depth)));
}

PackedPolicy::PackedPolicy(const ModelConfig& config, const Weights& weights, Dtype dtype,
                           bool for_training, Names names)
    : config_(config),
      names_(std::move(names)),
      weights_(weights),
      dtype_(dtype),
      for_training_(for_training),
      layers_(config.layers.size()) {
  embedding_ = offset(names_.embedding);
  final_norm_ = offset(names_.norm);
  make_rope_tables();
  update();
}

std::int64_t PackedPolicy::offset(const std::string& name) const {
  return weights_.tensor(name).offset;
}

void PackedPolicy::update() {
  ++version_;
  for (std::size_t i = 0; i < layers_.size(); ++i) pack_layer(i);
  pack_linear(std::span(&names_.head, 1), head_, type());
  for (PackedPolicy& module : mtp_) module.update();
}

void PackedPolicy::pack_layer(std::size_t index) {
  const std::string prefix = layer_prefix(names_.first_layer + index);
  const LayerConfig& config = config_.layers[index];
  LayerWeights& layer = layers_[index];
  if (names_.first_layer > 0) pack_mtp(prefix, layer.mtp);
  layer.input_norm = offset(prefix + "input_layernorm.weight");
  layer.post_attention_norm = offset(prefix + "post_attention_layernorm.weight");
  if (config.attention.kind == AttentionKind::mla) {
    pack_mla(config.attention, prefix + "self_attn.", layer.mla);
  } else {
    pack_gqa(config.attention, prefix + "self_attn.", layer.gqa);
  }
  if (config.ffn.kind == FfnKind::dense) {
    pack_dense(prefix + "mlp.", layer.dense);
  } else {
    pack_moe(config.ffn, prefix + "mlp.", layer.moe);
  }
}

void PackedPolicy::pack_linear(std::span<const std::string> names, Linear& into, WeightType type) {
  std::vector<MatrixView> parts;
  std::vector<MatrixView> transposes;
  into.parts.clear();
  into.rows.clear();
  for (const std::string& name : names) {
    parts.push_back(view(weights_, name));
    transposes.push_back(transposed(parts.back()));
    into.parts.push_back(offset(name));
    into.rows.push_back(parts.back().rows);
  }
  pack_weight(parts, Stack::rows, type, into.forward);
  if (for_training_) pack_weight(transposes, Stack::columns, type, into.backward);
}

void PackedPolicy::pack_mla(const AttentionConfig& config, const std::string& prefix,
                            MlaWeights& into) {
  const std::string q = prefix + (config.q_lora_rank > 0 ? "q_a_proj.weight" : "q_proj.weight");
  pack_linear(std::span(&q, 1), into.q, type());
  if (config.q_lora_rank > 0) {
    const std::string q_b = prefix + "q_b_proj.weight";
    pack_linear(std::span(&q_b, 1), into.q_b, type());
    into.q_a_norm = offset(prefix + "q_a_layernorm.weight");
  }
  const std::string kv_a = prefix + "kv_a_proj_with_mqa.weight";
  pack_linear(std::span(&kv_a, 1), into.kv_a, type());
  const std::string o = prefix + "o_proj.weight";
  pack_linear(std::span(&o, 1), into.o, type());
  into.kv_a_norm = offset(prefix + "kv_a_layernorm.weight");
  const std::string kv_b = prefix + "kv_b_proj.weight";
  into.kv_b = offset(kv_b);
  if (config.mla_prefix == MlaPrefix::expanded) {
    pack_linear(std::span(&kv_b, 1), into.expand, type());
  }
  const auto heads = static_cast<std::size_t>(config.num_heads);
  into.uk.resize(heads);
  into.uv.resize(heads);
  const std::int64_t R = config.kv_lora_rank;
  for (std::size_t h = 0; h < heads; ++h) {
    const float* rows = at(into.kv_b) + static_cast<std::int64_t>(h) *
                                            (config.qk_nope_head_dim + config.v_head_dim) * R;
    const MatrixView key{
        .data = rows, .rows = config.qk_nope_head_dim, .columns = R, .row = R, .column = 1};
    const MatrixView value{.data = rows + config.qk_nope_head_dim * R,
                           .rows = config.v_head_dim,
                           .columns = R,
                           .row = R,
                           .column = 1};
    const MatrixView key_t = transposed(key);
    const MatrixView value_t = transposed(value);
    pack_weight(std::span(&key_t, 1), Stack::rows, type(), into.uk[h].forward);
    pack_weight(std::span(&value, 1), Stack::rows, type(), into.uv[h].forward);
    if (!for_training_) continue;
    pack_weight(std::span(&key, 1), Stack::rows, type(), into.uk[h].backward);
    pack_weight(std::span(&value_t, 1), Stack::rows, type(), into.uv[h].backward);
  }
}

void PackedPolicy::pack_gqa(const AttentionConfig& config, const std::string& prefix,
                            GqaWeights& into) {
  const std::string q = prefix + "q_proj.weight";
  const std::string kv[] = {prefix + "k_proj.weight", prefix + "v_proj.weight"};
  const std::string o = prefix + "o_proj.weight";
  pack_linear(std::span(&q, 1), into.q, type());
  pack_linear(kv, into.kv, type());
  pack_linear(std::span(&o, 1), into.o, type());
  if (config.qk_norm) {
    into.q_norm = offset(prefix + "q_norm.weight");
    into.k_norm = offset(prefix + "k_norm.weight");
  }
  if (!config.qkv_bias) return;
  into.q_bias = offset(prefix + "q_proj.bias");
  into.k_bias = offset(prefix + "k_proj.bias");
  into.v_bias = offset(prefix + "v_proj.bias");
  const std::int64_t width = config.num_kv_heads * config.head_dim;
  into.kv_bias.assign(at(into.k_bias), at(into.k_bias) + width);
  into.kv_bias.insert(into.kv_bias.end(), at(into.v_bias), at(into.v_bias) + width);
}

void PackedPolicy::pack_mtp(const std::string& prefix, MtpWeights& into) {
  const std::string eh_proj = prefix + "eh_proj.weight";
  pack_linear(std::span(&eh_proj, 1), into.eh_proj, type());
  into.enorm = offset(prefix + "enorm.weight");
  into.hnorm = offset(prefix + "hnorm.weight");
}

void PackedPolicy::pack_dense(const std::string& prefix, DenseFfnWeights& into) {
  const std::string gate_up[] = {prefix + "gate_proj.weight", prefix + "up_proj.weight"};
  const std::string down = prefix + "down_proj.weight";
  pack_linear(gate_up, into.gate_up, type());
  pack_linear(std::span(&down, 1), into.down, type());
}

void PackedPolicy::pack_moe(const FfnConfig& config, const std::string& prefix, MoeWeights& into) {
  const std::string router = prefix + "gate.weight";
  pack_linear(std::span(&router, 1), into.router, WeightType::float32);
  if (weights_.contains(prefix + "gate.e_score_correction_bias")) {
    into.bias = offset(prefix + "gate.e_score_correction_bias");
  }
  const auto E = static_cast<std::size_t>(config.num_experts);
  for (auto* packs : {&into.gate_up, &into.down}) packs->resize(E);
  if (for_training_) {
    for (auto* packs : {&into.gate_up_backward, &into.down_backward}) packs->resize(E);
  }
  for (auto* offsets : {&into.gate, &into.up, &into.down_offset}) offsets->resize(E);
  for (std::size_t e = 0; e < E; ++e) {
    const std::string expert = prefix + "experts." + std::to_string(e) + ".";
    const MatrixView gate = view(weights_, expert + "gate_proj.weight");
    const MatrixView up = view(weights_, expert + "up_proj.weight");
    const MatrixView down = view(weights_, expert + "down_proj.weight");
    into.gate[e] = offset(expert + "gate_proj.weight");
    into.up[e] = offset(expert + "up_proj.weight");
    into.down_offset[e] = offset(expert + "down_proj.weight");
    pack_weight(std::vector{gate, up}, Stack::rows, type(), into.gate_up[e]);
    pack_weight(std::span(&down, 1), Stack::rows, type(), into.down[e]);
    if (!for_training_) continue;
    const MatrixView down_t = transposed(down);
    pack_weight(std::vector{transposed(gate), transposed(up)}, Stack::columns, type(),
                into.gate_up_backward[e]);
    pack_weight(std::span(&down_t, 1), Stack::rows, type(), into.down_backward[e]);
  }
  if (config.num_shared_experts > 0) pack_dense(prefix + "shared_experts.", into.shared);
}

void PackedPolicy::make_rope_tables() {
  max_position_ = config_.max_position_embeddings;
  std::vector<const RopeConfig*> known;
  for (const LayerConfig& layer : config_.layers) {
    const RopeConfig& rope = layer.attention.rope;
    std::size_t index = 0;
    while (index < known.size() && !same_rope(*known[index], rope)) ++index;
    if (index == known.size()) {
      known.push_back(&rope);
      RopeTable table;
      for (std::int64_t p = 0; p < max_position_; ++p) {
        for (const double frequency : rope.inv_freq) {
          const double angle = static_cast<double>(p) * frequency;
          table.cos.push_back(static_cast<float>(std::cos(angle) * rope.attention_factor));
          table.sin.push_back(static_cast<float>(std::sin(angle) * rope.attention_factor));
        }
      }
      rope_.push_back(std::move(table));
    }
    rope_of_layer_.push_back(index);
  }
}

}  // namespace zeroth
