// A checkpoint directory with a tiny random model and a tokenizer for sums: what a training run
// starts from.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "policy/mtp_checkpoint.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"

namespace zeroth::testing {

/// One token for each character of a sum and its worked solution; 21 tokens with the special ones.
inline Tokenizer sums_tokenizer() {
  ByteLevelOptions options;
  options.alphabet = "0123456789+=;?";
  return Tokenizer::byte_level(options);
}

/// `json` (tests/support/tiny_configs.h) with the vocabulary and the special ids of
/// sums_tokenizer(). With the usual initializer_range of 0.02 every token would be as likely as any
/// other.
inline std::string sums_config(const char* json) {
  const Tokenizer tokenizer = sums_tokenizer();
  boost::json::object config = boost::json::parse(json).as_object();
  config["vocab_size"] = tokenizer.vocab_size();
  config["bos_token_id"] = tokenizer.bos_id().value();
  config["eos_token_id"] = tokenizer.eos_id().value();
  config["initializer_range"] = 0.3;
  return boost::json::serialize(config);
}

/// Writes config.json, model.safetensors and the tokenizer's files.
inline void write_tiny_checkpoint(const std::filesystem::path& directory, const char* json,
                                  std::uint64_t seed = 7) {
  std::filesystem::create_directories(directory);
  const std::string text = sums_config(json);
  std::ofstream(directory / "config.json") << text;
  const ModelConfig config = parse_model_config(text, "tiny");
  Weights weights(config);
  initialize_weights(weights, config, seed);
  save_weights(weights, directory, false);
  sums_tokenizer().save(directory);
}

/// sums_config with that many multi-token-prediction modules.
inline std::string sums_config_with_modules(const char* json, std::int64_t count) {
  boost::json::object object = boost::json::parse(sums_config(json)).as_object();
  object["num_nextn_predict_layers"] = count;
  return boost::json::serialize(object);
}

/// The same directory with the modules `mtp` behind the model, numbers of `type`. Returns the
/// configuration as it is read, without modules to train.
inline ModelConfig write_tiny_mtp_checkpoint(const std::filesystem::path& directory,
                                             const char* json, const std::vector<MtpConfig>& mtp,
                                             TensorType type = TensorType::f32) {
  const std::string text = sums_config_with_modules(json, static_cast<std::int64_t>(mtp.size()));
  ModelConfig config = parse_model_config(text, "tiny");
  config.mtp = mtp;
  Weights weights(config);
  initialize_weights(weights, config, 5);
  weights.set_beside({.copies = mtp_copies(config), .kept = {}});
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "config.json") << text;
  write_safetensors(directory / "model.safetensors", saved_tensors(weights, type));
  sums_tokenizer().save(directory);
  return parse_model_config(text, "tiny");
}

}  // namespace zeroth::testing
