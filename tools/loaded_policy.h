// A checkpoint ready to sample from.
#pragma once

#include <filesystem>
#include <string>

#include "policy/packed_policy.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"
#include "rl/config.h"
#include "rl/training_options.h"

namespace zeroth {

struct LoadedPolicy {
  LoadedPolicy(const std::filesystem::path& directory, const std::string& dtype,
               const std::string& mla_prefix = "absorbed")
      : config(read_model_config(directory / "config.json", parse_mla_prefix(mla_prefix))),
        tokenizer(Tokenizer::load(directory)),
        weights(load_weights(directory, config)),
        packed(config, weights, parse_dtype(dtype), false) {}
  LoadedPolicy(const LoadedPolicy&) = delete;
  LoadedPolicy& operator=(const LoadedPolicy&) = delete;

  ModelConfig config;
  Tokenizer tokenizer;
  Weights weights;
  PackedPolicy packed;
};

}  // namespace zeroth
