// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2) over a flat range of parameters:
//
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w = w - lr * weight_decay * w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
//
// as torch.optim.AdamW orders it. g is gradient * gradient_scale (clipping by norm).
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct AdamwArgs {
  float* w = nullptr;        // [n] fp32 master weights
  const float* g = nullptr;  // [n]
  float* m = nullptr;        // [n]
  float* v = nullptr;        // [n]
  std::int64_t n = 0;
  double learning_rate = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double bias_correction1 = 1.0;  // 1 - beta1^t
  double bias_correction2 = 1.0;  // 1 - beta2^t
  double gradient_scale = 1.0;
};

void adamw(const Context& context, const AdamwArgs& args);

/// Sum of squares in fp64 over blocks of 4,096 elements, the blocks added in order: one number for
/// any thread count.
struct SquaredNormArgs {
  const float* x = nullptr;
  std::int64_t n = 0;
  double* blocks = nullptr;  // [(n + 4095) / 4096] scratch, the sum of each block
};
void squared_norm_blocks(const Context& context, const SquaredNormArgs& args);
double squared_norm(const Context& context, const float* x, std::int64_t n);

}  // namespace zeroth
