// Numbers of sixteen and eight bits, to float and from it.
//
//   bf16     1 sign, 8 exponent, 7 fraction: the upper half of a float
//   f16      1, 5, 10: IEEE 754 binary16
//   f8_e4m3  1, 4, 3 with bias 7: no infinities, NaN where all of exponent and fraction are set
//   f8_e5m2  1, 5, 2: the upper half of an f16
//   f8_e8m0  0, 8, 0 with bias 127: a power of two, NaN at 255 (a scale)
//
// The eight bits are those of the OCP 8-bit floating point and microscaling specifications (2023).
#pragma once

#include <bit>
#include <cstdint>

namespace zeroth {

/// The nearest bf16, ties to even; NaN stays NaN.
inline std::uint16_t bf16_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>(bits >> 16U | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16U & 1U)) >> 16U);
}

/// The nearest f16, ties to even; NaN stays NaN, what lies beyond 65504 becomes infinite.
inline std::uint16_t f16_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16U & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x47800000U) return static_cast<std::uint16_t>(sign | 0x7C00U);  // 2^16 and up
  if (magnitude < 0x38800000U) {  // below 2^-14: a multiple of 2^-24
    // Adding 0.5 leaves exactly the 24 bits that count, rounded to even by the addition itself.
    const float sum = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(sum) - 0x3F000000U));
  }
  const std::uint32_t odd = magnitude >> 13U & 1U;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000U + 0xFFFU + odd) >> 13U));
}

// Exact.

inline float float_from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16U);
}

inline float float_from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t magnitude = bits & 0x7FFFU;
  if (magnitude >= 0x7C00U) {  // infinite or NaN
    return std::bit_cast<float>(sign | 0x7F800000U | (magnitude & 0x3FFU) << 13U);
  }
  // As the bits of a float the exponent is too small by 127 - 15, subnormals included.
  const float value = std::bit_cast<float>(magnitude << 13U) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

inline float float_from_e4m3(std::uint8_t bits) {
  const std::uint32_t sign = (bits & 0x80U) << 24U;
  const std::uint32_t magnitude = bits & 0x7FU;
  if (magnitude == 0x7FU) return std::bit_cast<float>(sign | 0x7FC00000U);
  const float value = std::bit_cast<float>(magnitude << 20U) * 0x1p120F;  // 127 - 7
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

inline float float_from_e5m2(std::uint8_t bits) {
  return float_from_f16(static_cast<std::uint16_t>(bits << 8U));
}

inline float float_from_e8m0(std::uint8_t bits) {
  if (bits == 0xFFU) return std::bit_cast<float>(0x7FC00000U);
  if (bits == 0) return 0x1p-127F;  // below the smallest normal float
  return std::bit_cast<float>(std::uint32_t{bits} << 23U);
}

}  // namespace zeroth
