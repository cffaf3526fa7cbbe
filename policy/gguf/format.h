// What reader and writer of GGUF share: constants of the format, and the sizes of its types.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/gguf.h"

namespace zeroth::gguf {

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::uint64_t kAlignment = 32;  // the format's default, and what is written
inline constexpr const char* kAlignmentKey = "general.alignment";
inline constexpr std::uint32_t kMaxDims = 4;    // ggml's
inline constexpr std::uint32_t kArrayType = 9;  // index of GgufValue

struct TypeRow {
  GgufType type;
  std::string_view name;
  std::int64_t block;  // numbers
  std::int64_t bytes;  // of a block
  float most;          // the largest number it is asked to hold
};

/// nullptr for a number that is none of them.
const TypeRow* find_row(std::uint32_t number);
/// std::invalid_argument for a type without a row.
const TypeRow& row_of(GgufType type);
/// "0 (F32), 1 (F16), …"
std::string known_types();

/// Bytes of a tensor; false when they do not fit 63 bits or a row is not whole blocks.
bool checked_bytes(const std::vector<std::int64_t>& shape, const TypeRow& row, std::int64_t& bytes);

inline std::uint64_t padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

/// "[2, 3]"
std::string join(const std::vector<std::int64_t>& shape);

}  // namespace zeroth::gguf
