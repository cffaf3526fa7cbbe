// The SwiGLU feed-forward block, and the pieces of it that the shared expert uses too.
#include "policy/dense_ffn.h"

#include "kernels/swiglu.h"

namespace zeroth {

void swiglu_block_forward(const LayerPass& pass, const DenseFfnWeights& w, LayerActivations& a,
                          float* y, bool add) {
  const std::int64_t I = w.down.forward.K;
  const bool round = pass.policy.rounds();
  float* gate_up = a.gate_up.resize(pass.T() * 2 * I);
  float* act = a.act.resize(pass.T() * I);
  apply_linear(pass, w.gate_up.forward, a.h2.data(), pass.D(), gate_up, 2 * I, nullptr, false,
               round);
  swiglu(pass.context, {.gate_up = gate_up, .y = act, .T = pass.T(), .I = I, .round_bf16 = round});
  apply_linear(pass, w.down.forward, act, I, y, pass.D(), nullptr, add, false);
}

void swiglu_block_backward(const LayerBackwardPass& pass, const DenseFfnWeights& w,
                           bool add_to_dh) {
  const LayerPass& f = pass.forward;
  const std::int64_t I = w.down.forward.K;
  BackwardScratch& scratch = pass.scratch;
  float* dact = scratch.a.resize(f.T() * I);
  float* dgate_up = scratch.b.resize(f.T() * 2 * I);
  add_linear_gradient(pass, w.down, pass.kept.act.data(), I, scratch.dx.data(), f.D());
  apply_linear(f, w.down.backward, scratch.dx.data(), f.D(), dact, I, nullptr, false, false);
  swiglu_backward(
      f.context,
      {.gate_up = pass.kept.gate_up.data(), .dy = dact, .dgate_up = dgate_up, .T = f.T(), .I = I});
  add_linear_gradient(pass, w.gate_up, pass.kept.h2.data(), f.D(), dgate_up, 2 * I);
  apply_linear(f, w.gate_up.backward, dgate_up, 2 * I, scratch.dh.data(), f.D(), nullptr, add_to_dh,
               false);
}

void dense_ffn_forward(const LayerPass& pass, LayerActivations& a, float* x_out) {
  swiglu_block_forward(pass, pass.weights().dense, a, x_out, true);
}

void dense_ffn_backward(const LayerBackwardPass& pass) {
  swiglu_block_backward(pass, pass.forward.weights().dense, false);
}

}  // namespace zeroth
