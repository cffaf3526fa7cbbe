// A tiny random model to train, and batches for it that an engine sampled.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/packed_policy.h"
#include "rl/learner.h"
#include "rollout/local_engine.h"
#include "tests/rollout/tiny_policy.h"
#include "tests/support/floats.h"

namespace zeroth::testing {

struct TinyModel {
  explicit TinyModel(const TestModel& model, Dtype dtype = Dtype::float32)
      : config(TinyPolicy::wide(model.config())),
        weights(random_weights(config)),
        policy(config, weights, dtype, true) {}

  // Norms away from one and biases away from zero, so that no gradient is hidden by a special
  // value.
  static Weights random_weights(const ModelConfig& config) {
    Weights weights = TinyPolicy::random_weights(config);
    for (const WeightTensor& tensor : weights.tensors()) {
      if (tensor.shape.size() > 1) continue;
      const std::vector<float> noise = random_floats(tensor.size, 5, 0.2);
      for (std::size_t i = 0; i < noise.size(); ++i) weights[tensor.name][i] += noise[i];
    }
    return weights;
  }

  ModelConfig config;
  Weights weights;
  PackedPolicy policy;
};

/// A batch with all that its sampler reported, in the learner's order.
struct SampledBatch {
  std::vector<TrainingGroup> groups;
  std::vector<float> logprobs;
  std::vector<std::uint16_t> experts;  // of the completions' fed tokens, then of the prompts
};

/// Samples `requests`; the last one's completions end after one token.
inline SampledBatch sample_batch(const Context& context, const PackedPolicy& policy,
                                 std::span<const GenerateRequest> requests, double temperature) {
  LocalEngine engine(context, policy, {.max_num_seqs = 5, .page_size = 4, .record_experts = true});
  SamplingParams sampling{.temperature = temperature, .max_new_tokens = 9, .seed = 21, .stream = 1};
  std::vector<Group> groups = engine.generate(requests.first(requests.size() - 1), sampling);
  sampling.max_new_tokens = 1;
  groups.push_back(engine.generate(requests.last(1), sampling)[0]);
  SampledBatch batch;
  std::vector<std::uint16_t> prompt_experts;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    batch.groups.push_back({.prompt = requests[g].prompt, .completions = {}});
    for (const Completion& completion : groups[g].completions) {
      batch.groups.back().completions.push_back(completion.tokens);
      batch.logprobs.insert(batch.logprobs.end(), completion.logprobs.begin(),
                            completion.logprobs.end());
      batch.experts.insert(batch.experts.end(), completion.experts.begin(),
                           completion.experts.end());
    }
    prompt_experts.insert(prompt_experts.end(), groups[g].prompt_experts.begin(),
                          groups[g].prompt_experts.end());
  }
  batch.experts.insert(batch.experts.end(), prompt_experts.begin(), prompt_experts.end());
  return batch;
}

}  // namespace zeroth::testing
