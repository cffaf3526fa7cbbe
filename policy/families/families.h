// The model families Zeroth can run, as data: which `model_type` of a config.json each one is and
// how to read it. A new family is one reader and one row in families.cpp, and that is the only list
// of them. All share the tensor names of tensor_names.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "policy/model_config.h"
#include "system/json.h"

namespace zeroth {

struct ModelFamily {
  std::string_view model_type;    // of config.json
  std::string_view architecture;  // transformers' class, which "architectures" names
  /// Fills everything but model_type and hf_json. InputError for what is missing, inconsistent or
  /// not supported.
  void (*read)(const JsonReader& json, ModelConfig& config);
};

std::span<const ModelFamily> model_families();

/// nullptr for a model_type that is not known.
const ModelFamily* find_model_family(std::string_view model_type);

/// "deepseek_v2, deepseek_v3, …" for errors and help.
std::string known_model_types();

// The readers, one file for those that share a form.
void read_deepseek_v2(const JsonReader& json, ModelConfig& config);  // deepseek.cpp
void read_deepseek_v3(const JsonReader& json, ModelConfig& config);  // deepseek.cpp
void read_glm4_moe(const JsonReader& json, ModelConfig& config);     // glm.cpp
void read_llama(const JsonReader& json, ModelConfig& config);        // llama.cpp
void read_qwen2(const JsonReader& json, ModelConfig& config);        // qwen.cpp
void read_qwen3(const JsonReader& json, ModelConfig& config);        // qwen.cpp
void read_qwen3_moe(const JsonReader& json, ModelConfig& config);    // qwen.cpp

}  // namespace zeroth
