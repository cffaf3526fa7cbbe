// Packing, which is a copy and the same on every instruction set.
#include "kernels/gemm.h"

#include <cstring>
#include <new>
#include <stdexcept>

namespace zeroth {
namespace {

constexpr std::int64_t kPanel = 32;

std::uint16_t bf16_bits(float f) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &f, 4);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

void put(float* to, float value) {
  *to = value;
}
void put(std::uint16_t* to, float value) {
  *to = bf16_bits(value);
}

// Element (n, k) of the part goes to (first_row + n, first_column + k) of the weight of K columns.
template <class T>
void pack_part(const MatrixView& part, std::int64_t first_row, std::int64_t first_column,
               std::int64_t K, T* panels) {
  for (std::int64_t n = 0; n < part.rows; ++n) {
    const std::int64_t row = first_row + n;
    T* to = panels + row / kPanel * kPanel * K + row % kPanel + first_column * kPanel;
    const float* from = part.data + n * part.row;
    for (std::int64_t k = 0; k < part.columns; ++k) put(to + k * kPanel, from[k * part.column]);
  }
}

}  // namespace

std::size_t PackedWeight::bytes() const {
  const auto elements = static_cast<std::size_t>((N + kPanel - 1) / kPanel * kPanel * K);
  return elements * (type == WeightType::float32 ? 4 : 2);
}

void pack_weight(std::span<const MatrixView> parts, Stack stack, WeightType type,
                 PackedWeight& into) {
  if (parts.empty()) throw std::invalid_argument("pack_weight: no parts");
  std::int64_t N = stack == Stack::rows ? 0 : parts[0].rows;
  std::int64_t K = stack == Stack::rows ? parts[0].columns : 0;
  for (const MatrixView& part : parts) {
    if (stack == Stack::rows ? part.columns != K : part.rows != N) {
      throw std::invalid_argument("pack_weight: the parts do not fit together");
    }
    (stack == Stack::rows ? N : K) += stack == Stack::rows ? part.rows : part.columns;
  }
  if (N <= 0 || K <= 0) throw std::invalid_argument("pack_weight: an empty weight");
  if (into.N != N || into.K != K || into.type != type || !into.panels) {
    into.N = N;
    into.K = K;
    into.type = type;
    const std::size_t bytes = (into.bytes() + 63) / 64 * 64;
    into.panels.reset(std::aligned_alloc(64, bytes));
    if (!into.panels) throw std::bad_alloc();
    std::memset(into.panels.get(), 0, bytes);
  }
  std::int64_t row = 0;
  std::int64_t column = 0;
  for (const MatrixView& part : parts) {
    if (type == WeightType::float32) {
      pack_part(part, row, column, K, static_cast<float*>(into.panels.get()));
    } else {
      pack_part(part, row, column, K, static_cast<std::uint16_t*>(into.panels.get()));
    }
    (stack == Stack::rows ? row : column) += stack == Stack::rows ? part.rows : part.columns;
  }
}

}  // namespace zeroth
