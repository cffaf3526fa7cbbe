#include "policy/families/families.h"

#include <array>

namespace zeroth {
namespace {

// Kimi-K2 is DeepSeek-V3's mathematics under a name of its own.
constexpr std::array kFamilies = {
    ModelFamily{"deepseek_v3", read_deepseek_v3},
    ModelFamily{"kimi_k2", read_deepseek_v3},
    ModelFamily{"qwen2", read_qwen2},
    ModelFamily{"qwen3", read_qwen3},
    ModelFamily{"llama", read_llama},
};

}  // namespace

std::span<const ModelFamily> model_families() {
  return kFamilies;
}

std::string known_model_types() {
  std::string names;
  for (const ModelFamily& family : kFamilies) {
    names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  }
  return names;
}

}  // namespace zeroth
