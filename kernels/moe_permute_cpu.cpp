#include "kernels/moe_permute.h"

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {

void moe_gather(const Context& context, const MoeGatherArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      memcpy(args.rows + r * args.D, args.x + args.token_of_row[r] * args.D,
             static_cast<size_t>(args.D) * 4);
    }
  };
  context.pool->parallel_for(args.num_rows, 128, run);
}

void moe_combine(const Context& context, const MoeCombineArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* y = args.y + t * args.D;
      for (int64_t d = 0; d < args.D; d += 16) {
        F16 acc = load(y + d, args.D - d);
        for (int64_t k = 0; k < args.K; ++k) {
          const float* row = args.rows + args.row_of_slot[t * args.K + k] * args.D;
          const F16 weight = set1(args.weights != nullptr ? args.weights[t * args.K + k] : 1.0F);
          acc = fma(weight, load(row + d, args.D - d), acc);
        }
        store(y + d, acc, args.D - d);
      }
    }
  };
  context.pool->parallel_for(args.T, 64, run);
}

void moe_combine_backward(const Context& context, const MoeCombineBackwardArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t slot = begin; slot < end; ++slot) {
      const float* dy = args.dy + slot / args.K * args.D;
      const int64_t row = args.row_of_slot[slot] * args.D;
      args.dweights[slot] = dot(dy, args.rows + row, args.D);
      const F16 weight = set1(args.weights[slot]);
      for (int64_t d = 0; d < args.D; d += 16) {
        store(args.drows + row + d, mul(weight, load(dy + d, args.D - d)), args.D - d);
      }
    }
  };
  context.pool->parallel_for(args.T * args.K, 128, run);
}

void add_to(const Context& context, const AddArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t stop = smaller(args.n, (block + 1) * 4096);
      for (int64_t i = block * 4096; i < stop; i += 16) {
        store(args.y + i, add(load(args.y + i, stop - i), load(args.x + i, stop - i)), stop - i);
      }
    }
  };
  context.pool->parallel_for((args.n + 4095) / 4096, 2, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
