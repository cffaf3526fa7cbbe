#include "kernels/adamw.h"

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {
namespace {

constexpr int64_t kBlock = 4096;

void update_block(const AdamwArgs& args, int64_t begin, int64_t end) {
  const F16 beta1 = set1(static_cast<float>(args.beta1));
  const F16 beta2 = set1(static_cast<float>(args.beta2));
  const F16 rest1 = set1(static_cast<float>(1.0 - args.beta1));
  const F16 rest2 = set1(static_cast<float>(1.0 - args.beta2));
  const F16 keep = set1(static_cast<float>(1.0 - args.learning_rate * args.weight_decay));
  const F16 step = set1(static_cast<float>(args.learning_rate / args.bias_correction1));
  const F16 root = set1(static_cast<float>(1.0 / __builtin_sqrt(args.bias_correction2)));
  const F16 eps = set1(static_cast<float>(args.eps));
  const F16 scale = set1(static_cast<float>(args.gradient_scale));
  for (int64_t i = begin; i < end; i += 16) {
    const int64_t n = end - i;
    const F16 g = mul(load(args.g + i, n), scale);
    const F16 m = fma(beta1, load(args.m + i, n), mul(rest1, g));
    const F16 v = fma(beta2, load(args.v + i, n), mul(rest2, mul(g, g)));
    const F16 denominator = add(mul(sqrt(v), root), eps);
    const F16 w = mul(load(args.w + i, n), keep);
    store(args.m + i, m, n);
    store(args.v + i, v, n);
    store(args.w + i, sub(w, div(mul(step, m), denominator)), n);
  }
}

}  // namespace

void adamw(const Context& context, const AdamwArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      update_block(args, b * kBlock, smaller(args.n, (b + 1) * kBlock));
  };
  context.pool->parallel_for((args.n + kBlock - 1) / kBlock, 4, run);
}

void squared_norm_blocks(const Context& context, const SquaredNormArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      double total = 0.0;
      const int64_t stop = smaller(args.n, (b + 1) * kBlock);
      for (int64_t i = b * kBlock; i < stop; ++i) {
        total += static_cast<double>(args.x[i]) * static_cast<double>(args.x[i]);
      }
      args.blocks[b] = total;
    }
  };
  context.pool->parallel_for((args.n + kBlock - 1) / kBlock, 4, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
