// A checkpoint ready to sample from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "policy/packed_policy.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"
#include "rl/config.h"
#include "rl/training_options.h"

namespace zeroth {

struct LoadedPolicy {
  /// A completion ends at any of `more_ends` too.
  LoadedPolicy(const std::filesystem::path& directory, const std::string& dtype,
               const std::string& mla_prefix = "absorbed",
               const std::vector<std::int64_t>& more_ends = {})
      : config(with_ends(read_model_config(directory / "config.json", parse_mla_prefix(mla_prefix)),
                         more_ends)),
        tokenizer(Tokenizer::load(directory)),
        weights(load_weights(directory, config)),
        packed(config, weights, parse_dtype(dtype), false) {}
  LoadedPolicy(const LoadedPolicy&) = delete;
  LoadedPolicy& operator=(const LoadedPolicy&) = delete;

  ModelConfig config;
  Tokenizer tokenizer;
  Weights weights;
  PackedPolicy packed;

 private:
  static ModelConfig with_ends(ModelConfig config, const std::vector<std::int64_t>& more) {
    for (const std::int64_t id : more)
      if (std::find(config.eos_token_ids.begin(), config.eos_token_ids.end(), id) ==
          config.eos_token_ids.end())
        config.eos_token_ids.push_back(id);
    return config;
  }
};

}  // namespace zeroth
