#include "tools/inspect_values.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "policy/fp8_blocks.h"

namespace zeroth {
namespace {

constexpr std::int64_t kPieceElements = std::int64_t{1} << 18;

struct Sums {
  std::int64_t num_finite = 0;
  double sum = 0.0, squares = 0.0;
};

struct Source {
  SafetensorsCheckpoint::Found found;
  const TensorBytes* scale;  // nullptr: none is asked for
  const Fp8Blocks* blocks;
  std::int64_t num_columns;
};

Sums sums_of(const Source& source, std::int64_t first_row, std::int64_t num_rows) {
  const TensorBytes& tensor = *source.found.tensor;
  const auto width = static_cast<std::size_t>(tensor_type_bytes(tensor.type));
  const auto count = static_cast<std::size_t>(num_rows * source.num_columns);
  const auto bytes = tensor.bytes.subspan(
      static_cast<std::size_t>(first_row * source.num_columns) * width, count * width);
  std::vector<float> values(count);
  copy_to_float({.name = tensor.name,
                 .type = tensor.type,
                 .shape = {static_cast<std::int64_t>(count)},
                 .bytes = bytes},
                values, *source.found.source);
  source.found.file->release(bytes);
  if (source.scale != nullptr)
    multiply_by_scales(values, first_row, source.num_columns, *source.scale, *source.blocks);
  Sums sums;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    ++sums.num_finite;
    sums.sum += value;
    sums.squares += static_cast<double>(value) * value;
  }
  return sums;
}

}  // namespace

TensorValues read_values(const SafetensorsCheckpoint& files, const std::string& name,
                         const Fp8Blocks& blocks, ThreadPool& pool) {
  const auto found = files.find(name);
  const bool has_scale = blocks.rows > 0 && is_fp8(found.tensor->type);
  const std::int64_t size = num_elements(*found.tensor);
  TensorValues values;
  if (size == 0) return values;
  const std::int64_t num_columns = found.tensor->shape.empty() ? 1 : found.tensor->shape.back();
  const Source source{.found = found,
                      .scale = has_scale ? files.find(scale_name(name)).tensor : nullptr,
                      .blocks = &blocks,
                      .num_columns = num_columns};
  const std::int64_t num_rows = size / num_columns;
  const std::int64_t step = std::max<std::int64_t>(1, kPieceElements / num_columns);
  std::vector<Sums> pieces(static_cast<std::size_t>((num_rows + step - 1) / step));
  pool.parallel_for(static_cast<std::int64_t>(pieces.size()), 1,
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i) {
                        pieces[static_cast<std::size_t>(i)] =
                            sums_of(source, i * step, std::min(step, num_rows - i * step));
                      }
                    });
  Sums all;
  for (const Sums& piece : pieces) {
    all.num_finite += piece.num_finite;
    all.sum += piece.sum;
    all.squares += piece.squares;
  }
  values.num_finite = all.num_finite;
  values.num_not_finite = size - all.num_finite;
  if (all.num_finite == 0) return values;
  const auto n = static_cast<double>(all.num_finite);
  values.mean = all.sum / n;
  if (all.num_finite > 1) {
    const double spread = std::max(0.0, all.squares - n * values.mean * values.mean);
    values.std = std::sqrt(spread / (n - 1));
  }
  return values;
}

}  // namespace zeroth
