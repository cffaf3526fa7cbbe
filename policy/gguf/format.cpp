#include "policy/gguf/format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>

namespace zeroth {
namespace gguf {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is little-endian");

// ggml's numbers, and the bytes of its blocks (policy/gguf/blocks.h).
constexpr std::array kTypes = {
    TypeRow{GgufType::f32, "F32", 1, 4, kMaxBf16},
    TypeRow{GgufType::f16, "F16", 1, 2, kMaxF16},
    TypeRow{GgufType::q4_0, "Q4_0", kGgufBlock, 2 + 16, kMaxF16},
    TypeRow{GgufType::q5_0, "Q5_0", kGgufBlock, 2 + 4 + 16, kMaxF16},
    TypeRow{GgufType::q8_0, "Q8_0", kGgufBlock, 2 + 32, kMaxF16},
    TypeRow{GgufType::q4_k, "Q4_K", kGgufSuperBlock, 2 + 2 + 12 + 128, kMaxF16},
    TypeRow{GgufType::q6_k, "Q6_K", kGgufSuperBlock, 128 + 64 + 16 + 2, kMaxF16},
    TypeRow{GgufType::bf16, "BF16", 1, 2, kMaxBf16},
};

}  // namespace

const TypeRow* find_row(std::uint32_t number) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& row) {
    return static_cast<std::uint32_t>(row.type) == number;
  });
  return found == kTypes.end() ? nullptr : found;
}

const TypeRow& row_of(GgufType type) {
  const TypeRow* row = find_row(static_cast<std::uint32_t>(type));
  if (row == nullptr) throw std::invalid_argument("gguf: a type without a row");
  return *row;
}

std::string known_types() {
  std::string text;
  for (const TypeRow& row : kTypes) {
    text += (text.empty() ? "" : ", ") + std::to_string(static_cast<std::uint32_t>(row.type)) +
            " (" + std::string(row.name) + ")";
  }
  return text;
}

bool checked_bytes(const std::vector<std::int64_t>& shape, const TypeRow& row,
                   std::int64_t& bytes) {
  if (shape.empty() || shape.back() % row.block != 0) return false;
  bytes = row.bytes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t size = i + 1 == shape.size() ? shape[i] / row.block : shape[i];
    if (size < 1 || __builtin_mul_overflow(bytes, size, &bytes)) return false;
  }
  return true;
}

std::string join(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace gguf

std::string_view gguf_type_name(GgufType type) {
  return gguf::row_of(type).name;
}

std::int64_t gguf_block_size(GgufType type) {
  return gguf::row_of(type).block;
}

float gguf_largest(GgufType type) {
  return gguf::row_of(type).most;
}

}  // namespace zeroth
