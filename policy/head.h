// From hidden states to log-probabilities: final norm, lm_head, log-softmax, in blocks of rows, so
// that [T, V] logits never exist at once. The same code reports a rollout's log-probs and trains on
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "policy/activations.h"

namespace zeroth {

/// Rows of hidden states and the tokens asked of each.
struct HeadTargets {
  std::vector<std::int64_t> rows;            // [R] rows of hidden
  std::vector<std::int64_t> target_offsets;  // [R + 1]
  std::vector<std::int32_t> targets;         // [targets]
  // [S + 1] offsets into rows, one segment a sequence; for gradients
  std::vector<std::int64_t> segments;
};

struct HeadBuffers {
  Buffer rows, normed, rstd, logits, dlogits, dnormed;
};

/// logprobs: one a target. entropies: [R] or empty. `temperature` divides the logits.
void head_forward(const Context& context, const PackedPolicy& policy, const float* hidden,
                  const HeadTargets& targets, double temperature, HeadBuffers& buffers,
                  std::span<float> logprobs, std::span<float> entropies);

/// A loss of its own on the logits, at temperature 1, of targets' rows [begin, end): writes its
/// derivative to `dlogits`; both are [end - begin, V].
using LogitsLoss =
    std::function<void(std::int64_t begin, std::int64_t end, const float* logits, float* dlogits)>;

/// Writes d loss / d hidden into dhidden [T, D] (rows without a target get zeros; T = num_rows) and
/// adds the gradients of lm_head and the final norm. dlogprobs: one a target. `logits_loss`, where
/// it is set, is asked for the rows block by block, ascending, and added.
void head_backward(const Context& context, const PackedPolicy& policy, const float* hidden,
                   std::int64_t num_rows, const HeadTargets& targets, double temperature,
                   std::span<const float> dlogprobs, HeadBuffers& buffers, float* dhidden,
                   float* gradients, const LogitsLoss& logits_loss = {});

/// Logits [rows.size(), V] of the given rows, for sampling and for inspection.
const float* head_logits(const Context& context, const PackedPolicy& policy, const float* hidden,
                         std::span<const std::int64_t> rows, HeadBuffers& buffers);

}  // namespace zeroth
