// Log-probabilities of given tokens from a row of logits, and their gradient.
//
//   z = logits * inverse_temperature;  logprob(v) = z[v] - max z - log sum_j exp(z[j] - max z)
//   entropy = log sum - sum_j p_j (z[j] - max z)
//
// A row may have any number of targets: the last position of a shared prompt has one for each
// completion of its group. The sum runs in lane v mod 16, then one tree; sample() uses the same
// function, so that what a rollout reports and what the learner computes are the same bits.
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct TokenLogprobArgs {
  const float* logits = nullptr;  // [R, V]
  std::int64_t R = 0;
  std::int64_t V = 0;
  float inverse_temperature = 1.0F;
  // [R + 1]: row r owns targets [offsets[r], offsets[r+1])
  const std::int64_t* target_offsets = nullptr;
  const std::int32_t* targets = nullptr;
  float* logprobs = nullptr;   // one a target
  float* entropies = nullptr;  // [R], nats; nullptr: not wanted
};

void token_logprob(const Context& context, const TokenLogprobArgs& args);

/// dlogits[r,v] = inverse_temperature * sum over targets i of r of g_i ([v = target_i] - p_v), in
/// place of the logits.
struct TokenLogprobBackwardArgs {
  float* logits = nullptr;  // [R, V]  becomes dlogits
  std::int64_t R = 0;
  std::int64_t V = 0;
  float inverse_temperature = 1.0F;
  const std::int64_t* target_offsets = nullptr;
  const std::int32_t* targets = nullptr;
  const float* dlogprobs = nullptr;  // g, one a target
};

void token_logprob_backward(const Context& context, const TokenLogprobBackwardArgs& args);

/// weights[r,v] = exp(z[v] - max z): what truncate() (kernels/truncation.h) chooses from.
struct TokenWeightsArgs {
  const float* logits = nullptr;  // [R, V]
  float* weights = nullptr;       // [R, V]
  std::int64_t R = 0;
  std::int64_t V = 0;
  float inverse_temperature = 1.0F;
};

void token_weights(const Context& context, const TokenWeightsArgs& args);

// Draws a token a row by inverting the cumulative distribution at uniforms[r], or takes the most
// likely one (the lowest id among equals) where uniforms[r] is negative. logprobs[r] is the
// log-probability defined above, of the whole distribution.
//
// With `weights` tokens are drawn by these instead, and sampling_logprobs[r] is the log-probability
// among them: z - max z - log sum of the weights. Weights that nothing was taken from give the bits
// that a call without them gives.
struct SampleArgs {
  const float* logits = nullptr;  // [R, V]
  std::int64_t R = 0;
  std::int64_t V = 0;
  float inverse_temperature = 1.0F;
  const double* uniforms = nullptr;  // [R] in [0, 1), or negative for greedy
  std::int32_t* tokens = nullptr;    // [R]
  float* logprobs = nullptr;         // [R]
  // [R, V] token_weights() after truncate(), the most likely token's left; nullptr: no truncation
  const float* weights = nullptr;
  float* sampling_logprobs = nullptr;  // [R]  with weights only
};

void sample(const Context& context, const SampleArgs& args);

}  // namespace zeroth
