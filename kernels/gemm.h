// y[m,n] = sum_k x[m,k] * W[n,k]  (+ bias[n])  (+ y[m,n])
//
// M rows (tokens), N outputs, K inputs; row-major. Each y[m,n] is one fma chain over k = 0..K-1 in
// fp32, whatever M, the row's place, the threads or the instruction set: threads split m and n,
// never k. With bf16 weights the inputs must already be rounded to bf16; products are exact in fp32
// and summed there.
//
// The grouped form applies weight e to rows [offsets[e], offsets[e+1]); the plain one is a group of
// one.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "kernels/context.h"

namespace zeroth {

enum class WeightType { float32, bfloat16 };

struct FreeDeleter {
  void operator()(void* p) const noexcept { std::free(p); }
};

/// A [N, K] weight laid out for gemm: panels of 32 outputs, each [K][32], zero-padded at the end.
struct PackedWeight {
  std::int64_t N = 0;
  std::int64_t K = 0;
  WeightType type = WeightType::float32;
  std::unique_ptr<void, FreeDeleter> panels;
  std::size_t bytes() const;
};

/// Where a row-major matrix stands: element (n, k) is data[n * row + k * column]. Swapping the
/// strides and extents packs the transpose.
struct MatrixView {
  const float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t row = 0;
  std::int64_t column = 1;
};

/// How the parts of a weight stand together: one below the other (more outputs) or side by side
/// (more inputs).
enum class Stack { rows, columns };

/// The `parts` as one weight (bf16 rounds to nearest even). Reuses `into`'s memory when shape and
/// type are the same. Throws std::invalid_argument for parts that do not fit together.
void pack_weight(std::span<const MatrixView> parts, Stack stack, WeightType type,
                 PackedWeight& into);

struct GemmArgs {
  const float* x = nullptr;  // [M, ldx], K columns read
  std::int64_t ldx = 0;
  std::int64_t M = 0;                     // rows; ignored when offsets is set
  const PackedWeight* weights = nullptr;  // [num_groups]
  std::int64_t num_groups = 1;
  const std::int64_t* offsets = nullptr;  // [num_groups + 1]; nullptr: one group of M rows
  const float* bias = nullptr;            // [N]; nullptr: none. Plain form only
  float* y = nullptr;                     // [M, ldy], N columns written
  std::int64_t ldy = 0;
  bool add_to_y = false;    // y += product (a single addition after the chain)
  bool round_bf16 = false;  // round what is written
};

void gemm(const Context& context, const GemmArgs& args);

// dW[n,k] += sum over segments s of ( sum over rows t of s of dy[t,n] * x[t,k] )
//
// The gradient of a weight. Each segment (a sequence) is a chain of its own from zero, added in
// segment order: how the segments are dealt out to calls (micro-batches) cannot show. Grouped over
// weights as above: group e owns segments [segment_begin[e], segment_begin[e+1]).
struct WeightGradientArgs {
  const float* x = nullptr;  // [T, ldx]
  std::int64_t ldx = 0;
  const float* dy = nullptr;  // [T, ldy]
  std::int64_t ldy = 0;
  std::int64_t N = 0;
  std::int64_t K = 0;
  const std::int64_t* segments = nullptr;  // [num_segments + 1] row offsets
  std::int64_t num_segments = 0;           // ignored when segment_begin is set
  std::int64_t num_groups = 1;
  // [num_groups + 1]; nullptr: one group with all segments
  const std::int64_t* segment_begin = nullptr;
  float* const* dw = nullptr;  // [num_groups] pointers to [N, K]
};

void weight_gradient(const Context& context, const WeightGradientArgs& args);

// db[n] += sum over segments ( sum over rows dy[t,n] * (scale ? scale[t] : 1) * (x ? x[t,n] : 1) )
//
// The gradient of a bias, and of a norm's weight with x the norm's input and scale its rstd.
struct ColumnGradientArgs {
  const float* dy = nullptr;  // [T, ldy]
  std::int64_t ldy = 0;
  const float* x = nullptr;  // [T, ldx] or nullptr
  std::int64_t ldx = 0;
  const float* scale = nullptr;  // [T] or nullptr
  std::int64_t N = 0;
  const std::int64_t* segments = nullptr;  // [num_segments + 1]
  std::int64_t num_segments = 0;
  float* db = nullptr;  // [N]
};

void column_gradient(const Context& context, const ColumnGradientArgs& args);

}  // namespace zeroth
