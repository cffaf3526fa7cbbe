// The one decoder graph: it walks a ModelConfig, for sampling and for training alike.
//
// forward() takes items of (sequence, position) and leaves the last hidden states; head.h turns
// those into log-probabilities. Residual stream in fp32.
#pragma once

#include <span>

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

/// The same without the embedding: the layers, from what stands in activations.layers[0].x_in.
void layers_forward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                    Cache& cache, Activations& activations);

/// x [T, D]: the rows of the embedding's table at `tokens`.
void embed(const PackedPolicy& policy, std::span<const std::int32_t> tokens, float* x);

/// Adds dx [T, D] to the rows of `gradient` [V, D] at `tokens`, one after the other.
void embedding_backward(const Context& context, std::span<const std::int32_t> tokens,
                        const float* dx, std::int64_t hidden_size, float* gradient);

/// Given d loss / d hidden in scratch.dx [T, D], adds the gradients of all layers to `gradients`
/// (flat, laid out as Weights) and that of the embedding to `embedding_gradient` [V, D]: its place
/// in `gradients`, or, where lm_head is the same tensor and a batch is cut into several passes, an
/// array of its own, so that the sums of the two are not interleaved by the cut. `cache` and
/// `activations` are those of the forward pass; `dcache` holds what has flowed into these tokens'
/// cache rows from elsewhere (zeros for fresh ones) and receives what flows on.
void decoder_backward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                      Cache& cache, Activations& activations, BackwardScratch& scratch,
                      Cache& dcache, float* gradients, float* embedding_gradient);

/// The same without the embedding: leaves d loss / d x_in of the first layer in scratch.dx.
void layers_backward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                     Cache& cache, Activations& activations, BackwardScratch& scratch,
                     Cache& dcache, float* gradients);

}  // namespace zeroth
