// The SwiGLU block on h2, shared by the dense feed-forward layer and the shared expert.
#pragma once

#include "policy/activations.h"

namespace zeroth {

/// y (+)= down(swiglu(gate_up(h2))); keeps gate_up and act.
void swiglu_block_forward(const LayerPass& pass, const DenseFfnWeights& w, LayerActivations& a,
                          float* y, bool add);

/// From scratch.dx to scratch.dh (added to it with `add_to_dh`).
void swiglu_block_backward(const LayerBackwardPass& pass, const DenseFfnWeights& w, bool add_to_dh);

}  // namespace zeroth
