// Multi-token prediction (DeepSeek-V3, arXiv:2412.19437, section 2.2): modules behind the model, of
// which the k-th (from 1) predicts token i + k + 1 at position i, from the hidden state there and
// token i + k:
//
//   x_i = eh_proj [ enorm(embedding of token i + k) ; hnorm(h^(k-1)_i) ]
//   h^k_i = shared_head.norm(Layer(x)_i);   logits = head h^k_i
//
// h^0 is the model's last hidden state after its final norm, and each module passes on its own
// normed state, as transformers 5.23 chains them (MtpModel). A module is a policy of one layer
// (PackedPolicy::mtp), whose final norm is shared_head.norm; the head is computed by head.h.
#pragma once

#include <cstdint>
#include <span>

#include "policy/decoder.h"

namespace zeroth {

struct MtpActivations {
  Activations layers{true};        // layers.hidden is the module's state before its final norm
  Buffer previous, previous_rstd;  // [T, D], [T] h^(k-1), and of the norm that made it
  Buffer embedded, embedded_rstd;  // [T, D], [T]
  Buffer hidden_rstd;              // [T] of hnorm
  Buffer joined;                   // [T, 2 D]
};

/// What a module stands behind: the model or the module before, and its hidden state before the
/// final norm.
struct MtpInput {
  const PackedPolicy& before;
  const float* hidden;                 // [T, D]
  std::span<const std::int32_t> next;  // [T] token i + k of the sequence at position i
};

/// Runs `module` over `batch`, whose own tokens are not read; leaves layers.hidden.
void mtp_forward(const Context& context, const PackedPolicy& module, const ForwardBatch& batch,
                 const MtpInput& input, Cache& cache, MtpActivations& activations);

/// Given d loss / d layers.hidden in scratch.dx, adds the gradients of all that the module reads,
/// the final norm before it among them, to `gradients` (flat, laid out as Weights) and
/// d loss / d input.hidden to `dhidden`.
void mtp_backward(const Context& context, const PackedPolicy& module, const ForwardBatch& batch,
                  const MtpInput& input, Cache& cache, MtpActivations& activations,
                  BackwardScratch& scratch, Cache& dcache, float* gradients, float* dhidden);

}  // namespace zeroth
