// y[t,d] = x[t,d] * rstd[t] * gamma[d],   rstd[t] = 1 / sqrt(mean_d(x[t,d]^2) + eps)
//
// T rows of D; the sum of squares runs in lane d mod 16, then one tree. With `round_bf16` the
// normalised value and the product are rounded to bf16, as a bf16 model does (Zhang & Sennrich
// 2019, arXiv:1910.07467).
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct RmsNormArgs {
  const float* x = nullptr;  // [T, ldx]
  std::int64_t ldx = 0;
  const float* gamma = nullptr;  // [D]
  float* y = nullptr;            // [T, ldy]  may alias x when the strides agree
  std::int64_t ldy = 0;
  float* rstd = nullptr;  // [T]  kept for backward; nullptr in inference
  std::int64_t T = 0;
  std::int64_t D = 0;
  float eps = 1e-6F;
  bool round_bf16 = false;
};

void rms_norm(const Context& context, const RmsNormArgs& args);

// dx[t,d] (+)= rstd * (g[d] - xhat[t,d] * mean_d(g * xhat)),  g = gamma * dy,  xhat = x * rstd
struct RmsNormBackwardArgs {
  const float* x = nullptr;  // [T, ldx]
  std::int64_t ldx = 0;
  const float* gamma = nullptr;  // [D]
  const float* rstd = nullptr;   // [T]
  const float* dy = nullptr;     // [T, ldy]
  std::int64_t ldy = 0;
  float* dx = nullptr;  // [T, ldx]  may alias dy when not adding and the strides agree
  std::int64_t lddx = 0;
  std::int64_t T = 0;
  std::int64_t D = 0;
  bool add_to_dx = false;
};

void rms_norm_backward(const Context& context, const RmsNormBackwardArgs& args);

}  // namespace zeroth
