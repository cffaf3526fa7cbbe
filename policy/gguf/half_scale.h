// The scales of blocks as they are stored: f16.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "policy/small_floats.h"

namespace zeroth::gguf {

inline float half_at(const std::byte* bytes) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof(bits));
  return float_from_f16(bits);
}

/// Stores the f16 nearest to `most` / `steps`, or the one of the next larger size where `steps` and
/// a half of the nearest do not reach `most`, and gives what was stored. So the smallest numbers do
/// not vanish, and none is cut off.
inline float put_half(float most, float steps, std::byte* bytes) {
  std::uint16_t bits = f16_from_float(most / steps);
  // f16 of one sign follow each other as integers.
  if ((std::abs(steps) + 0.5F) * std::abs(float_from_f16(bits)) < std::abs(most)) ++bits;
  std::memcpy(bytes, &bits, sizeof(bits));
  return float_from_f16(bits);
}

}  // namespace zeroth::gguf
