#include "kernels/swiglu.h"

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {

void swiglu(const Context& context, const SwigluArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* gate = args.gate_up + t * 2 * args.I;
      const float* up = gate + args.I;
      for (int64_t i = 0; i < args.I; i += 16) {
        const F16 g = load(gate + i, args.I - i);
        const F16 y = mul(mul(g, sigmoid(g)), load(up + i, args.I - i));
        store(args.y + t * args.I + i, args.round_bf16 ? round_bf16(y) : y, args.I - i);
      }
    }
  };
  context.pool->parallel_for(args.T, 64, run);
}

void swiglu_backward(const Context& context, const SwigluBackwardArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* gate = args.gate_up + t * 2 * args.I;
      float* dgate = args.dgate_up + t * 2 * args.I;
      for (int64_t i = 0; i < args.I; i += 16) {
        const int64_t n = args.I - i;
        const F16 g = load(gate + i, n);
        const F16 u = load(gate + args.I + i, n);
        const F16 dy = load(args.dy + t * args.I + i, n);
        const F16 s = sigmoid(g);
        const F16 slope = mul(s, fma(g, sub(set1(1.0F), s), set1(1.0F)));  // d silu / d g
        store(dgate + i, mul(mul(dy, u), slope), n);
        store(dgate + args.I + i, mul(dy, mul(g, s)), n);
      }
    }
  };
  context.pool->parallel_for(args.T, 64, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
