// Weights of tiny models, to compare.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policy/weights.h"

namespace zeroth::testing {

inline ModelConfig tiny(const char* text) {
  return parse_model_config(text, "config.json");
}

inline Weights random_weights(const ModelConfig& config, std::uint64_t seed) {
  Weights weights(config);
  initialize_weights(weights, config, seed);
  return weights;
}

inline std::vector<float> copy(std::span<const float> values) {
  return {values.begin(), values.end()};
}

}  // namespace zeroth::testing
