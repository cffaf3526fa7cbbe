// A checkpoint directory in Hugging Face's layout, in one of three number types: what transformers
// and vLLM load with nothing changed.
//
//   config.json              as read, with the type of the numbers and the class of the model
//   generation_config.json, tokenizer.json, tokenizer_config.json, chat_template.jinja …
//   model.safetensors, or model-00001-of-0000N.safetensors with their index
#pragma once

#include <cstdint>
#include <filesystem>

#include "policy/model_config.h"
#include "policy/safetensors.h"
#include "policy/weights.h"

namespace zeroth {

/// Writes to `directory` what stands beside weights and config.json: the files of `from` that
/// belong to a Hugging Face model, and generation_config.json where there is none. InputError when
/// one of them cannot be read.
void write_side_files(const std::filesystem::path& directory, const ModelConfig& config,
                      const std::filesystem::path& from);

struct HfModelOptions {
  TensorType type = TensorType::f32;  // f32, f16 or bf16; biases of expert selection stay f32
  std::int64_t max_shard_bytes = 5'000'000'000;  // of one weights file; a larger tensor has its own
};

/// Writes the whole model into `directory`, which is there. InputError for a number that is not
/// finite or that the type cannot hold, and as write_side_files.
void write_hf_model(const std::filesystem::path& directory, const ModelConfig& config,
                    const Weights& weights, const std::filesystem::path& from,
                    const HfModelOptions& options);

}  // namespace zeroth
