#include "policy/families/families.h"

#include <algorithm>
#include <array>

namespace zeroth {
namespace {

// Kimi-K2 is DeepSeek-V3's mathematics under a name of its own; so is Moonlight, under V3's name.
constexpr std::array kFamilies = {
    ModelFamily{"deepseek_v2", "DeepseekV2ForCausalLM", read_deepseek_v2},
    ModelFamily{"deepseek_v3", "DeepseekV3ForCausalLM", read_deepseek_v3},
    ModelFamily{"kimi_k2", "DeepseekV3ForCausalLM", read_deepseek_v3},
    ModelFamily{"glm4_moe", "Glm4MoeForCausalLM", read_glm4_moe},
    ModelFamily{"qwen2", "Qwen2ForCausalLM", read_qwen2},
    ModelFamily{"qwen3", "Qwen3ForCausalLM", read_qwen3},
    ModelFamily{"qwen3_moe", "Qwen3MoeForCausalLM", read_qwen3_moe},
    ModelFamily{"llama", "LlamaForCausalLM", read_llama},
};

}  // namespace

std::span<const ModelFamily> model_families() {
  return kFamilies;
}

const ModelFamily* find_model_family(std::string_view model_type) {
  const auto* found = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const ModelFamily& f) {
    return f.model_type == model_type;
  });
  return found == kFamilies.end() ? nullptr : &*found;
}

std::string known_model_types() {
  std::string names;
  for (const ModelFamily& family : kFamilies) {
    names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  }
  return names;
}

}  // namespace zeroth
