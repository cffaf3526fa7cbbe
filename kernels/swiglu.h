// y[t,i] = silu(gate[t,i]) * up[t,i],  silu(g) = g / (1 + e^-g)   (Shazeer 2020, arXiv:2002.05202)
//
// gate_up holds [gate | up] in each row of 2 I floats.
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct SwigluArgs {
  const float* gate_up = nullptr;  // [T, 2 I]
  float* y = nullptr;              // [T, I]
  std::int64_t T = 0;
  std::int64_t I = 0;
  bool round_bf16 = false;
};

void swiglu(const Context& context, const SwigluArgs& args);

struct SwigluBackwardArgs {
  const float* gate_up = nullptr;  // [T, 2 I]
  const float* dy = nullptr;       // [T, I]
  float* dgate_up = nullptr;       // [T, 2 I]  may alias gate_up
  std::int64_t T = 0;
  std::int64_t I = 0;
};

void swiglu_backward(const Context& context, const SwigluBackwardArgs& args);

}  // namespace zeroth
