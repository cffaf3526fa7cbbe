// A tiny random policy whose distributions are far from uniform, and requests for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/random.h"
#include "policy/packed_policy.h"
#include "rollout/engine.h"
#include "tests/support/tiny_configs.h"

namespace zeroth::testing {

/// A config.json and the algebra of its prompts.
struct TestModel {
  TestModel(const char* text, MlaPrefix prefix = MlaPrefix::absorbed)
      : json(text), mla_prefix(prefix) {}
  ModelConfig config() const {
    ModelConfig config = parse_model_config(json, "tiny");
    set_mla_prefix(config, mla_prefix, "tiny");
    return config;
  }
  const char* json;
  MlaPrefix mla_prefix;
};

/// One of every kind of attention and router.
inline const TestModel kModels[] = {
    kTinyDeepseek, {kTinyDeepseek, MlaPrefix::expanded}, kTinyQwen2, kTinyDeepseekV2, kTinyGlm4Moe};

struct TinyPolicy {
  explicit TinyPolicy(const TestModel& model, Dtype dtype = Dtype::float32)
      : config(wide(model.config())),
        weights(random_weights(config)),
        policy(config, weights, dtype, false) {}

  // With the usual 0.02 every token would be as likely as any other.
  static ModelConfig wide(ModelConfig config) {
    config.initializer_range = 0.3;
    return config;
  }
  static Weights random_weights(const ModelConfig& config) {
    Weights weights(config);
    initialize_weights(weights, config, 7);
    return weights;
  }

  ModelConfig config;
  Weights weights;
  PackedPolicy policy;
};

/// Prompts of 1 to 18 tokens and groups of 1 to 7.
inline std::vector<GenerateRequest> mixed_requests(std::size_t count) {
  std::vector<GenerateRequest> requests(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto problem = static_cast<std::uint32_t>(i);
    const auto below = [&](std::uint32_t index, std::uint32_t limit) {
      return Philox::block({problem, index, 0, 0}, {1, 2})[0] % limit;
    };
    requests[i].problem = problem;
    requests[i].step = 3;
    requests[i].num_generations = 1 + below(0, 7);
    const std::uint32_t length = 1 + below(1, 18);
    for (std::uint32_t t = 0; t < length; ++t) {
      requests[i].prompt.push_back(static_cast<std::int32_t>(4 + below(2 + t, 36)));
    }
  }
  return requests;
}

}  // namespace zeroth::testing
