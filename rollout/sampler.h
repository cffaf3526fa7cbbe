// From hidden states to tokens: final norm, lm_head, one random number a token, and the
// log-probability that the learner will compute for it (kernels/token_logprob.h). Truncation
// (kernels/truncation.h) changes which tokens are drawn and never that log-probability.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/random.h"
#include "kernels/truncation.h"
#include "policy/head.h"

namespace zeroth {

/// One token to be drawn from the distribution at a row of the hidden states.
struct Draw {
  std::int64_t row = 0;  // of hidden; draws from one row stand side by side
  SampleKey key = {};
};

class Sampler {
 public:
  /// Logits are divided by `temperature`; 0 takes the most likely token, the lowest id among
  /// equals, and reports its log-probability at temperature 1. std::invalid_argument for a value
  /// that is negative, not finite, or so small or large that its inverse is no normal float, and
  /// for a truncation outside of its ranges.
  explicit Sampler(double temperature, const Truncation& truncation = {});

  /// tokens[i] and logprobs[i] answer draws[i], and so does sampling_logprobs[i], the log-prob
  /// among the tokens that the truncation leaves; it may be empty where there is none. Each is a
  /// function of the row's values and of the key. hidden: [T, D]. Logits are computed a block of
  /// rows at a time.
  void sample(const Context& context, const PackedPolicy& policy, const float* hidden,
              std::span<const Draw> draws, std::span<std::int32_t> tokens,
              std::span<float> logprobs, std::span<float> sampling_logprobs = {});

 private:
  const float* logits_of(const Context& context, const PackedPolicy& policy, const float* hidden,
                         std::span<const Draw> draws);
  const float* weights_of(const Context& context, const float* logits, std::int64_t R,
                          std::int64_t V);

  bool greedy_;
  float inverse_temperature_;
  Truncation truncation_;  // none when greedy
  HeadBuffers head_;
  Buffer repeated_;                 // [draws of a block, V] where draws share rows
  std::vector<std::int64_t> rows_;  // distinct rows of a block
  std::vector<double> uniforms_;
  Buffer weights_;                      // [draws of a block, V] with a truncation
  std::vector<std::uint64_t> ranking_;  // the same
};

}  // namespace zeroth
