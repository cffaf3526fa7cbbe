#include "kernels/rope.h"

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {
namespace {

void turn(const RopeArgs& args, float* x, const float* cos, const float* sin) {
  const int64_t half = args.dim / 2;
  float out[4096];
  for (int64_t i = 0; i < half; ++i) {
    const bool pairs_apart = args.backward || !args.interleaved;
    const float a = pairs_apart ? x[i] : x[2 * i];
    const float b = pairs_apart ? x[i + half] : x[2 * i + 1];
    const float s = args.backward ? -sin[i] : sin[i];
    const float first = a * cos[i] - b * s;
    const float second = b * cos[i] + a * s;
    const bool write_interleaved = args.backward && args.interleaved;
    out[write_interleaved ? 2 * i : i] = first;
    out[write_interleaved ? 2 * i + 1 : i + half] = second;
  }
  for (int64_t i = 0; i < args.dim; ++i) x[i] = args.round_bf16 ? round_bf16(out[i]) : out[i];
}

}  // namespace

void rope(const Context& context, const RopeArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t at = static_cast<int64_t>(args.positions[t]) * (args.dim / 2);
      for (int64_t h = 0; h < args.num_heads; ++h) {
        turn(args, args.x + t * args.row + h * args.head, args.cos + at, args.sin + at);
      }
    }
  };
  context.pool->parallel_for(args.T, 64, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
