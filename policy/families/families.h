// The model families Zeroth can run, as data: which `model_type` of a config.json each one is and
// how to read it. A new family is one reader and one row in families.cpp. All of them share the
// tensor names of tensor_names.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "policy/model_config.h"
#include "system/json.h"

namespace zeroth {

struct ModelFamily {
  std::string_view model_type;  // of config.json
  /// Fills everything but model_type and hf_json. InputError for what is missing, inconsistent or
  /// not supported.
  void (*read)(const JsonReader& json, ModelConfig& config);
};

std::span<const ModelFamily> model_families();

/// "deepseek_v3, kimi_k2, …" for errors and help.
std::string known_model_types();

// The readers, one a file.
void read_deepseek_v3(const JsonReader& json, ModelConfig& config);  // deepseek.cpp
void read_qwen2(const JsonReader& json, ModelConfig& config);        // qwen.cpp
void read_qwen3(const JsonReader& json, ModelConfig& config);        // qwen.cpp
void read_llama(const JsonReader& json, ModelConfig& config);        // llama.cpp

}  // namespace zeroth
