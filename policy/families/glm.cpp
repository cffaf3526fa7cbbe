// GLM-4.5 and GLM-4.5-Air (arXiv:2508.06471): grouped-query attention whose heads turn in part,
// with an RMS norm of each q and k head or without, and DeepSeek-V3's experts.
#include "policy/families/common.h"
#include "policy/families/experts.h"
#include "policy/families/families.h"

namespace zeroth {
namespace {

// What transformers takes where config.json has no such key.
constexpr double kRotaryShare = 0.5;
constexpr double kNormEps = 1e-5;

}  // namespace

void read_glm4_moe(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  if (!json.has("rms_norm_eps")) config.rms_norm_eps = kNormEps;
  AttentionConfig attention = read_gqa(json, config, {.rotary = kRotaryShare});
  attention.qkv_bias = json.get_bool("attention_bias", false);
  attention.qk_norm = json.get_bool("use_qk_norm", false);
  set_layers(json, attention, read_sigmoid_experts, config);
}

}  // namespace zeroth
