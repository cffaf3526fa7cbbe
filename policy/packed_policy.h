// The weights of a policy as the kernels read them: packed once a policy version, shared by sampler
// and learner. Goal: every linear layer has one packing that all users share, so that one numerics
// holds by construction.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/context.h"
#include "kernels/gemm.h"
#include "policy/model_config.h"
#include "policy/weights.h"

namespace zeroth {

enum class Dtype { float32, bfloat16 };
std::string_view dtype_name(Dtype dtype);

/// A linear layer: y = x Wᵀ, with the packing of Wᵀ's transpose for dx = dy W when training.
struct Linear {
  PackedWeight forward;
  PackedWeight backward;            // empty in inference
  std::vector<std::int64_t> parts;  // offsets of the stacked weights in the flat array
  std::vector<std::int64_t> rows;   // outputs of each part
};

struct MlaWeights {
  Linear q;    // q_proj, or q_a_proj with q_lora
  Linear q_b;  // only with q_lora
  Linear kv_a;
  std::vector<Linear> uk;  // [H] kv_b's key half, absorbed: [R, nope]; backward is [nope, R]
  std::vector<Linear> uv;  // [H] kv_b's value half: [v, R]
  Linear expand;           // kv_b as it is, [H * (nope + v), R]; with an expanded prefix only
  Linear o;
  std::int64_t q_a_norm = -1;
  std::int64_t kv_a_norm = -1;
  std::int64_t kv_b = -1;
};

struct GqaWeights {
  Linear q;
  Linear kv;  // [k_proj; v_proj]
  Linear o;
  std::int64_t q_bias = -1;
  std::vector<float> kv_bias;  // [k | v], empty without bias
  std::int64_t k_bias = -1;
  std::int64_t v_bias = -1;
  std::int64_t q_norm = -1;  // [head_dim], -1 without qk_norm
  std::int64_t k_norm = -1;
};

struct DenseFfnWeights {
  Linear gate_up;  // [gate_proj; up_proj]
  Linear down;
};

struct MoeWeights {
  Linear router;           // always fp32
  std::int64_t bias = -1;  // e_score_correction_bias, or -1
  // [E] packings side by side, as grouped gemm takes them.
  std::vector<PackedWeight> gate_up, gate_up_backward, down, down_backward;
  std::vector<std::int64_t> gate, up, down_offset;  // [E]
  DenseFfnWeights shared;                           // with shared experts
};

/// What joins the next token and the hidden state in front of an MTP module's layer (policy/mtp.h).
struct MtpWeights {
  Linear eh_proj;           // [D, 2 D]
  std::int64_t enorm = -1;  // -1 in a layer that is none
  std::int64_t hnorm = -1;
};

struct LayerWeights {
  std::int64_t input_norm = -1;
  std::int64_t post_attention_norm = -1;
  MlaWeights mla;
  GqaWeights gqa;
  DenseFfnWeights dense;
  MoeWeights moe;
  MtpWeights mtp;
};

class PackedPolicy {
 public:
  /// Packs `weights`, which must outlive this; with `for_training` also what the backward pass
  /// reads.
  PackedPolicy(const ModelConfig& config, const Weights& weights, Dtype dtype, bool for_training);

  /// The MTP modules of config.mtp, where it is for training: each a policy of one layer, with its
  /// final norm and its head. They share the weights and are packed again with this.
  const std::vector<PackedPolicy>& mtp() const { return mtp_; }

  /// Packs the weights again after they changed; counts a new version.
  void update();

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  Dtype dtype() const { return dtype_; }
  bool rounds() const { return dtype_ == Dtype::bfloat16; }
  std::int64_t version() const { return version_; }
  const LayerWeights& layer(std::size_t index) const { return layers_[index]; }
  const Linear& head() const { return head_; }
  std::int64_t embedding() const { return embedding_; }    // offset of embed_tokens
  std::int64_t final_norm() const { return final_norm_; }  // offset
  const float* at(std::int64_t offset) const { return weights_.values().data() + offset; }
  const float* rope_cos(std::size_t layer) const { return rope_[rope_of_layer_[layer]].cos.data(); }
  const float* rope_sin(std::size_t layer) const { return rope_[rope_of_layer_[layer]].sin.data(); }
  std::int64_t max_position() const { return max_position_; }

 private:
  // The tensors around the layers, and the number of the first of these.
  struct Names {
    std::size_t first_layer = 0;
    std::string embedding, norm, head;
  };
  PackedPolicy(const ModelConfig& config, const Weights& weights, Dtype dtype, bool for_training,
               Names names);
  static Names model_names(const ModelConfig& config);
  static Names mtp_names(const ModelConfig& config, std::size_t depth);

  struct RopeTable {
    std::vector<float> cos, sin;  // [max_position, dim / 2]
  };

  void pack_layer(std::size_t index);
  void pack_mla(const AttentionConfig& config, const std::string& prefix, MlaWeights& into);
  void pack_gqa(const AttentionConfig& config, const std::string& prefix, GqaWeights& into);
  void pack_dense(const std::string& prefix, DenseFfnWeights& into);
  void pack_moe(const FfnConfig& config, const std::string& prefix, MoeWeights& into);
  void pack_mtp(const std::string& prefix, MtpWeights& into);
  void pack_linear(std::span<const std::string> names, Linear& into, WeightType type);
  void make_rope_tables();
  std::int64_t offset(const std::string& name) const;
  WeightType type() const { return rounds() ? WeightType::bfloat16 : WeightType::float32; }

  ModelConfig config_;
  Names names_;
  const Weights& weights_;
  Dtype dtype_;
  bool for_training_;
  std::int64_t version_ = 0;
  std::int64_t max_position_ = 0;
  std::vector<LayerWeights> layers_;
  std::vector<RopeTable> rope_;
  std::vector<std::size_t> rope_of_layer_;
  Linear head_;
  std::int64_t embedding_ = -1;
  std::int64_t final_norm_ = -1;
  std::vector<PackedPolicy> mtp_;
};

}  // namespace zeroth
