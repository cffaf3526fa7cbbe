// Supervised fine-tuning: the mean negative log-likelihood of the completion tokens,
// L = -(1 / tokens of the batch) sum_t logprobs_t.
#pragma once

#include <cstdint>
#include <span>

#include "rl/losses/loss.h"

namespace zeroth {

/// A chunk of T completion tokens in N completions; completion i owns [offsets[i], offsets[i + 1]).
struct SftLossInputs {
  std::span<const float> logprobs;        // [T]
  std::span<const std::int64_t> offsets;  // [N + 1]
  std::int64_t num_tokens = 0;            // completion tokens of the whole batch
  double weight = 1.0;                    // multiplies the loss
};

/// The chunk's share of the loss; the derivative of every token is -weight / num_tokens. Throws
/// std::invalid_argument for wrong offsets, num_tokens smaller than T, or a log-prob that is not
/// finite.
LossOutputs sft_loss(const SftLossInputs& in);

}  // namespace zeroth
