#include "kernels/gemm.h"

#include "kernels/tile.h"

namespace zeroth {
namespace ZEROTH_ISA {
namespace {

constexpr int64_t kPanel = 32;
constexpr int64_t kRowBlock = 96;

struct Block {
  const GemmArgs* args;
  const PackedWeight* weight;
  int64_t row_begin, row_end;
};

template <int MR, class W>
void gemm_tile(const Block& block, const W* panel, int64_t row, int64_t n) {
  const GemmArgs& args = *block.args;
  F16 acc[MR][2];
  for (int m = 0; m < MR; ++m) acc[m][0] = acc[m][1] = set1(0.0F);
  tile_chain<MR, 2>(acc, {args.x + row * args.ldx, args.ldx, 1}, panel, kPanel, block.weight->K);
  for (int v = 0; v < 2; ++v) {
    const int64_t columns = block.weight->N - n - 16 * v;
    if (columns <= 0) break;
    for (int m = 0; m < MR; ++m) {
      float* y = args.y + (row + m) * args.ldy + n + 16 * v;
      F16 out = acc[m][v];
      if (args.bias != nullptr) out = add(out, load(args.bias + n + 16 * v, columns));
      if (args.add_to_y) out = add(load(y, columns), out);
      store(y, args.round_bf16 ? round_bf16(out) : out, columns);
    }
  }
}

template <class W>
void gemm_panel(const Block& block, int64_t panel_index) {
  const W* panel =
      static_cast<const W*>(block.weight->panels.get()) + panel_index * kPanel * block.weight->K;
  const int64_t n = panel_index * kPanel;
  int64_t row = block.row_begin;
#define ZEROTH_CALL(rows) gemm_tile<rows>(block, panel, row, n)
  for (; row + kTileRows <= block.row_end; row += kTileRows) ZEROTH_CALL(kTileRows);
  ZEROTH_FOR_ROWS(block.row_end - row, ZEROTH_CALL)
#undef ZEROTH_CALL
}

// Tasks of a grouped product: (group, block of rows, panel) in that order.
struct Tasks {
  const GemmArgs* args;
  int64_t panels;
  int64_t rows_of(int64_t group, int64_t* begin) const {
    if (args->offsets == nullptr) {
      *begin = 0;
      return args->M;
    }
    *begin = args->offsets[group];
    return args->offsets[group + 1] - *begin;
  }
  int64_t blocks_of(int64_t group) const {
    int64_t begin;
    return (rows_of(group, &begin) + kRowBlock - 1) / kRowBlock;
  }
};

}  // namespace

void gemm(const Context& context, const GemmArgs& args) {
  const Tasks tasks{&args, (args.weights[0].N + kPanel - 1) / kPanel};
  int64_t total_blocks = 0;
  for (int64_t group = 0; group < args.num_groups; ++group) total_blocks += tasks.blocks_of(group);
  const auto run = [&](int64_t begin, int64_t end) {
    int64_t group = 0;
    int64_t first_block = 0;  // of `group`
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block_index = task / tasks.panels;
      while (block_index >= first_block + tasks.blocks_of(group))
        first_block += tasks.blocks_of(group++);
      int64_t row_begin;
      const int64_t rows = tasks.rows_of(group, &row_begin);
      const int64_t offset = (block_index - first_block) * kRowBlock;
      const Block block{&args, &args.weights[group], row_begin + offset,
                        row_begin + smaller(rows, offset + kRowBlock)};
      if (block.weight->type == WeightType::float32) {
        gemm_panel<float>(block, task % tasks.panels);
      } else {
        gemm_panel<Bf16>(block, task % tasks.panels);
      }
    }
  };
  const int64_t count = total_blocks * tasks.panels;
  const int64_t work = kRowBlock * kPanel * args.weights[0].K;  // fma of a full task
  const int64_t grain = larger(1, smaller((1 << 20) / larger(1, work), (count + 7) / 8));
  context.pool->parallel_for(count, grain, run);
}

namespace {

// One tile of one weight's gradient over all its segments.
template <int MR>
void gradient_tile(const WeightGradientArgs& args, float* dw, int64_t segment_begin,
                   int64_t segment_end, int64_t n, int64_t k) {
  const int64_t columns = smaller(kPanel, args.K - k);
  F16 total[MR][2];
  for (int m = 0; m < MR; ++m) {
    for (int v = 0; v < 2; ++v)
      total[m][v] = load(dw + (n + m) * args.K + k + 16 * v, larger(0, columns - 16 * v));
  }
  for (int64_t s = segment_begin; s < segment_end; ++s) {
    const int64_t t = args.segments[s];
    const int64_t rows = args.segments[s + 1] - t;
    if (rows == 0) continue;
    F16 acc[MR][2];
    for (int m = 0; m < MR; ++m) acc[m][0] = acc[m][1] = set1(0.0F);
    const TileA dy{args.dy + t * args.ldy + n, 1, args.ldy};
    const float* x = args.x + t * args.ldx + k;
    if (columns == kPanel) {
      tile_chain<MR, 2>(acc, dy, x, args.ldx, rows);
    } else {
      tile_chain_narrow<MR, 2>(acc, dy, x, args.ldx, rows, columns);
    }
    for (int m = 0; m < MR; ++m) {
      for (int v = 0; v < 2; ++v) total[m][v] = add(total[m][v], acc[m][v]);
    }
  }
  for (int m = 0; m < MR; ++m) {
    for (int v = 0; v < 2; ++v) {
      if (columns > 16 * v)
        store(dw + (n + m) * args.K + k + 16 * v, total[m][v], columns - 16 * v);
    }
  }
}

}  // namespace

void weight_gradient(const Context& context, const WeightGradientArgs& args) {
  constexpr int64_t kRowsAtOnce =
      192;  // of x in one column tile: they stay in the nearest cache for all tiles of n
  const int64_t column_tiles = (args.K + kPanel - 1) / kPanel;
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t group = task / column_tiles;
      const int64_t k = task % column_tiles * kPanel;
      int64_t s = args.segment_begin == nullptr ? 0 : args.segment_begin[group];
      const int64_t last =
          args.segment_begin == nullptr ? args.num_segments : args.segment_begin[group + 1];
      while (s < last) {
        int64_t stop = s + 1;
        while (stop < last && args.segments[stop + 1] - args.segments[s] <= kRowsAtOnce) ++stop;
        if (args.segments[stop] > args.segments[s]) {
          int64_t n = 0;
#define ZEROTH_CALL(rows) gradient_tile<rows>(args, args.dw[group], s, stop, n, k)
          for (; n + kTileRows <= args.N; n += kTileRows) ZEROTH_CALL(kTileRows);
          ZEROTH_FOR_ROWS(args.N - n, ZEROTH_CALL)
#undef ZEROTH_CALL
        }
        s = stop;
      }
    }
  };
  context.pool->parallel_for(args.num_groups * column_tiles, 1, run);
}

void column_gradient(const Context& context, const ColumnGradientArgs& args) {
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t n = block * 16;
      const int64_t columns = args.N - n;
      F16 total = load(args.db + n, columns);
      for (int64_t s = 0; s < args.num_segments; ++s) {
        F16 acc = set1(0.0F);
        for (int64_t t = args.segments[s]; t < args.segments[s + 1]; ++t) {
          F16 value = load(args.dy + t * args.ldy + n, columns);
          if (args.x != nullptr) value = mul(value, load(args.x + t * args.ldx + n, columns));
          acc = fma(value, set1(args.scale != nullptr ? args.scale[t] : 1.0F), acc);
        }
        total = add(total, acc);
      }
      store(args.db + n, total, columns);
    }
  };
  context.pool->parallel_for((args.N + 15) / 16, 1, run);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
