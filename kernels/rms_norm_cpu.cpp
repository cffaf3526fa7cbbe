#include "kernels/rms_norm.h"

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {

void rms_norm(const Context& context, const RmsNormArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* x = args.x + t * args.ldx;
      float* y = args.y + t * args.ldy;
      const float mean = dot(x, x, args.D) / static_cast<float>(args.D);
      const float rstd = 1.0F / __builtin_sqrtf(mean + args.eps);
      if (args.rstd != nullptr) args.rstd[t] = rstd;
      for (int64_t d = 0; d < args.D; d += 16) {
        const F16 gamma = load(args.gamma + d, args.D - d);
        F16 value = mul(load(x + d, args.D - d), set1(rstd));
        value = args.round_bf16 ? round_bf16(mul(round_bf16(value), gamma)) : mul(value, gamma);
        store(y + d, value, args.D - d);
      }
    }
  };
  context.pool->parallel_for(args.T, 64, run);
}

void rms_norm_backward(const Context& context, const RmsNormBackwardArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* x = args.x + t * args.ldx;
      const float* dy = args.dy + t * args.ldy;
      float* dx = args.dx + t * args.lddx;
      const F16 rstd = set1(args.rstd[t]);
      F16 lanes_sum = set1(0.0F);
      for (int64_t d = 0; d < args.D; d += 16) {
        const F16 g = mul(load(args.gamma + d, args.D - d), load(dy + d, args.D - d));
        lanes_sum = fma(g, mul(load(x + d, args.D - d), rstd), lanes_sum);
      }
      const F16 mean = set1(sum(lanes_sum) / static_cast<float>(args.D));
      for (int64_t d = 0; d < args.D; d += 16) {
        const F16 g = mul(load(args.gamma + d, args.D - d), load(dy + d, args.D - d));
        const F16 xhat = mul(load(x + d, args.D - d), rstd);
        F16 value = mul(rstd, sub(g, mul(xhat, mean)));
        if (args.add_to_dx) value = add(load(dx + d, args.D - d), value);
        store(dx + d, value, args.D - d);
      }
    }
  };
  context.pool->parallel_for(args.T, 64, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
