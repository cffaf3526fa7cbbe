// The one inner loop of all matrix work: a tile of C += A B whose every element is a single fma
// chain over k in ascending order. Rows of the tile, its place and its neighbours never enter an
// element's chain. Included only by *_cpu.cpp files (see simd.h).
#pragma once

#include "kernels/simd.h"

namespace zeroth {
namespace ZEROTH_ISA {

// Rows of a tile of 32 columns that still fit in registers.
#if defined(__AVX512F__)
constexpr int kTileRows = 12;
#elif defined(__AVX2__)
constexpr int kTileRows = 3;
#else
constexpr int kTileRows = 4;
#endif

/// A(m, k) = a[m * row + k * step].
struct TileA {
  const float* a;
  int64_t row;
  int64_t step;
};

/// acc[m][v] = fma chain over k of A(m, k) * b[k * b_step + 16 v + lane], starting from acc.
template <int MR, int NV, class B>
ZEROTH_INLINE void tile_chain(F16 (&acc)[MR][NV], TileA A, const B* b, int64_t b_step, int64_t K) {
  for (int64_t k = 0; k < K; ++k) {
    F16 row[NV];
    for (int v = 0; v < NV; ++v) row[v] = load(b + 16 * v);
    for (int m = 0; m < MR; ++m) {
      const F16 am = set1(A.a[m * A.row + k * A.step]);
      for (int v = 0; v < NV; ++v) acc[m][v] = fma(am, row[v], acc[m][v]);
    }
    b += b_step;
  }
}

/// The same with only the first `columns` floats of each b row readable.
template <int MR, int NV>
ZEROTH_INLINE void tile_chain_narrow(F16 (&acc)[MR][NV], TileA A, const float* b, int64_t b_step,
                                     int64_t K, int64_t columns) {
  for (int64_t k = 0; k < K; ++k) {
    F16 row[NV];
    for (int v = 0; v < NV; ++v) row[v] = load(b + 16 * v, larger(0, columns - 16 * v));
    for (int m = 0; m < MR; ++m) {
      const F16 am = set1(A.a[m * A.row + k * A.step]);
      for (int v = 0; v < NV; ++v) acc[m][v] = fma(am, row[v], acc[m][v]);
    }
    b += b_step;
  }
}

/// C[m][n] (+)= sum over k of A(m, k) * b[k * b_step + n] for an M x N block, in tiles. With
/// `accumulate` each chain goes on from what C holds, so a chain may be cut at any k without a
/// trace.
template <int MR, int NV>
ZEROTH_INLINE void block_columns(TileA A, const float* b, int64_t b_step, int64_t K,
                                 int64_t columns, float* c, int64_t ldc, bool accumulate) {
  F16 acc[MR][NV];
  for (int m = 0; m < MR; ++m) {
    for (int v = 0; v < NV; ++v) {
      acc[m][v] = accumulate ? load(c + m * ldc + 16 * v, larger(0, columns - 16 * v)) : set1(0.0F);
    }
  }
  if (columns == 16 * NV) {
    tile_chain<MR, NV>(acc, A, b, b_step, K);
  } else {
    tile_chain_narrow<MR, NV>(acc, A, b, b_step, K, columns);
  }
  for (int m = 0; m < MR; ++m) {
    for (int v = 0; v < NV; ++v) {
      if (columns > 16 * v) store(c + m * ldc + 16 * v, acc[m][v], columns - 16 * v);
    }
  }
}

template <int MR>
static void block_rows(TileA A, const float* b, int64_t b_step, int64_t K, int64_t N, float* c,
                       int64_t ldc, bool accumulate) {
  int64_t n = 0;
  for (; N - n > 16; n += 32) {
    block_columns<MR, 2>(A, b + n, b_step, K, smaller(32, N - n), c + n, ldc, accumulate);
  }
  if (N > n) block_columns<MR, 1>(A, b + n, b_step, K, N - n, c + n, ldc, accumulate);
}

// Runs `call(rows)` for the last rows of a block with the row count as a compile-time constant.
// clang-format off
#define ZEROTH_FOR_ROWS(count, CALL) \
  switch (count) {                   \
    case 1: CALL(1); break;          \
    case 2: CALL(2); break;          \
    case 3: CALL(3); break;          \
    case 4: CALL(4); break;          \
    case 5: CALL(5); break;          \
    case 6: CALL(6); break;          \
    case 7: CALL(7); break;          \
    case 8: CALL(8); break;          \
    case 9: CALL(9); break;          \
    case 10: CALL(10); break;        \
    case 11: CALL(11); break;        \
    default: break;                  \
  }
// clang-format on

/// The M x N block over all rows.
ZEROTH_INLINE void block_product(TileA A, int64_t M, const float* b, int64_t b_step, int64_t K,
                                 int64_t N, float* c, int64_t ldc, bool accumulate) {
  int64_t m = 0;
#define ZEROTH_CALL(rows) \
  block_rows<rows>({A.a + m * A.row, A.row, A.step}, b, b_step, K, N, c + m * ldc, ldc, accumulate)
  for (; m + kTileRows <= M; m += kTileRows) ZEROTH_CALL(kTileRows);
  ZEROTH_FOR_ROWS(M - m, ZEROTH_CALL)
#undef ZEROTH_CALL
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
