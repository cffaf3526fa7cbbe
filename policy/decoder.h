// The one decoder graph: it walks a ModelConfig, for sampling and for training alike.
//
// forward() takes items of (sequence, position) and leaves the last hidden states; head.h turns
// those into log-probabilities. Residual stream in fp32.
#pragma once

#include "policy/activations.h"

namespace zeroth {

/// What a pass over the layers leaves behind.
struct Activations {
  explicit Activations(bool keep) : keep_layers(keep) {}
  bool keep_layers;                      // true: one LayerActivations a layer, for backward
  std::vector<LayerActivations> layers;  // one when not kept
  Buffer hidden;  // [T, D] residual stream after the last layer, before the final norm
  std::vector<std::vector<std::int32_t>> experts;  // [moe layers][T * K] the experts chosen
};

/// Runs the layers over `batch`, writing each token's entry into `cache` at its row.
/// Throws std::invalid_argument for a token or position outside the model's range.
void decoder_forward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                     Cache& cache, Activations& activations);

/// Given d loss / d hidden in scratch.dx [T, D], adds the gradients of all layers to `gradients`
/// (flat, laid out as Weights) and that of the embedding to `embedding_gradient` [V, D]: its place
/// in `gradients`, or, where lm_head is the same tensor and a batch is cut into several passes, an
/// array of its own, so that the sums of the two are not interleaved by the cut. `cache` and
/// `activations` are those of the forward pass; `dcache` holds what has flowed into these tokens'
/// cache rows from elsewhere (zeros for fresh ones) and receives what flows on.
void decoder_backward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                      Cache& cache, Activations& activations, BackwardScratch& scratch,
                      Cache& dcache, float* gradients, float* embedding_gradient);

}  // namespace zeroth
