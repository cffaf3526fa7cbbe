// What a model is, as plain data. A family (policy/families/*) reads it from config.json and writes
// it back; one decoder graph (decoder.h) walks it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {

enum class RopeScaling { none, linear, yarn, llama3 };

/// Rotary position embedding: the angle of pair i at position p is p * inv_freq[i].
struct RopeConfig {
  std::int64_t dim = 0;    // rotated width of a head, from its start; even
  double theta = 10000.0;  // inv_freq[i] before scaling is theta^(-2 i / dim)
  RopeScaling scaling = RopeScaling::none;
  std::vector<double> inv_freq;   // [dim / 2], yarn and llama3 scaling already applied
  double attention_factor = 1.0;  // multiplies cos and sin (yarn's mscale ratio)
  bool interleaved = false;       // pairs (0,1),(2,3)… as DeepSeek-V3; else (i, i + dim/2)
};

enum class AttentionKind { gqa, mla };

/// The algebra in which latent attention meets the keys of a prompt (policy/mla.h).
enum class MlaPrefix { absorbed, expanded };

struct AttentionConfig {
  AttentionKind kind = AttentionKind::gqa;
  std::int64_t num_heads = 0;     // H
  std::int64_t num_kv_heads = 0;  // Hkv; gqa only
  std::int64_t head_dim = 0;      // gqa only
  bool qkv_bias = false;          // gqa only
  bool qk_norm = false;           // gqa only: RMS norm of each q and k head before rope
  std::int64_t q_lora_rank = 0;   // mla: 0 = one full-rank q_proj
  std::int64_t kv_lora_rank = 0;  // mla: R
  std::int64_t qk_nope_head_dim = 0;
  std::int64_t qk_rope_head_dim = 0;
  std::int64_t v_head_dim = 0;
  MlaPrefix mla_prefix = MlaPrefix::absorbed;  // mla only; a run's choice, not in config.json
  double lora_norm_eps =
      1e-6;  // mla: eps of q_a_layernorm and kv_a_layernorm (transformers' default)
  double softmax_scale = 0.0;  // multiplies q·k, yarn's mscale² included
  RopeConfig rope;
};

enum class FfnKind { dense, moe };
enum class RouterScoring { sigmoid, softmax };
enum class GroupScore { two_best, best };  // sum of a group's two best choices, or its best one

struct FfnConfig {
  FfnKind kind = FfnKind::dense;
  std::int64_t intermediate_size = 0;    // dense: hidden width; moe: width of one routed expert
  std::int64_t num_experts = 0;          // E
  std::int64_t num_experts_per_tok = 0;  // K
  std::int64_t num_shared_experts =
      0;                        // one shared expert of num_shared_experts * intermediate_size
  std::int64_t n_group = 1;     // experts are cut into n_group groups, of which
  std::int64_t topk_group = 1;  // the topk_group best may be chosen from
  GroupScore group_score = GroupScore::two_best;
  RouterScoring scoring = RouterScoring::sigmoid;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1.0;
};

struct LayerConfig {
  AttentionConfig attention;
  FfnConfig ffn;
};

/// Weights of eight bits that are multiplied by one scale a block when they are loaded (fp8 of
/// quantization_config); 0 where config.json asks for no such thing.
struct Fp8Blocks {
  std::int64_t rows = 0;     // of the output
  std::int64_t columns = 0;  // of the input
};

/// A multi-token-prediction module (policy/mtp.h): a layer as the model's last one, behind the
/// model. Embedding and head are the model's, or its own where a checkpoint has others.
struct MtpConfig {
  bool own_embedding = false;
  bool own_head = false;
  bool copied_embedding = false;  // the model's is stored once more, and is saved so
  bool copied_head = false;
};

struct ModelConfig {
  std::string model_type;        // "deepseek_v3", "qwen2"
  std::int64_t vocab_size = 0;   // V
  std::int64_t hidden_size = 0;  // D
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  std::int64_t max_position_embeddings = 0;
  std::int64_t bos_token_id = -1;  // -1: none
  /// Each ends a completion: those of config.json, the one that a text ends with at the front, then
  /// those of generation_config.json, as a chat model may end a turn by another token.
  std::vector<std::int64_t> eos_token_ids;
  double initializer_range = 0.02;
  std::vector<LayerConfig> layers;
  std::int64_t num_nextn_predict_layers = 0;  // MTP modules that a checkpoint may hold
  std::vector<MtpConfig> mtp;  // those trained with the model; a run's choice, not in config.json
  Fp8Blocks fp8_blocks;
  /// The config.json it was read from, kept to be written back: without quantization_config, since
  /// weights are floats once they are loaded.
  std::string hf_json;
};

/// Reads `file` (a config.json), and of a generation_config.json beside it what ends a completion.
/// Throws InputError naming the key for a missing, mistyped or inconsistent value and for an
/// unknown model_type (naming those that are known).
ModelConfig read_model_config(const std::filesystem::path& file);

/// The same, with a run's choice of mla_prefix.
ModelConfig read_model_config(const std::filesystem::path& file, MlaPrefix mla_prefix);

/// The same from text; `source` names it in errors.
ModelConfig parse_model_config(std::string_view json, const std::string& source);

/// Sets a run's choice of mla_prefix. InputError for `expanded` and a model without latent
/// attention, which the error calls `model`.
void set_mla_prefix(ModelConfig& config, MlaPrefix mla_prefix, const std::string& model);

/// One tensor of a checkpoint: Hugging Face name and shape.
struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
};

/// "model.layers.N.". MTP modules are numbered on behind the model's layers.
std::string layer_prefix(std::size_t index);

/// Every tensor the configuration calls for, in the order of the forward pass, under the family's
/// Hugging Face names (embed_tokens, layers.N.…, norm, lm_head unless tied, then what config.mtp
/// names). `e_score_correction_bias` included.
std::vector<TensorSpec> model_tensors(const ModelConfig& config);

}  // namespace zeroth
