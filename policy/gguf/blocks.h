// The blocks of ggml's quantized types: layouts as ggml has them, scales found in ways of our own.
//
//   q8_0  32 numbers: an f16 scale d, 32 signed bytes q;               d q
//   q4_0  32 numbers: d, 16 bytes of two q of 4 bits;                  d (q - 8)
//   q5_0  32 numbers: d, 4 bytes of the fifth bits, 16 bytes;          d (q - 16)
//   q4_k  256 numbers: f16 d and m, 6-bit s and t for each 32 numbers; d s q - m t, q of 4 bits
//   q6_k  256 numbers: f16 d, 8-bit s for each 16 numbers;             d s (q - 32), q of 6 bits
//
// Two numbers of a byte: q4_0 and q5_0 hold i and i + 16, q4_k i and i + 32 of each 64.
#pragma once

#include <cstddef>
#include <span>

namespace zeroth::gguf {

// Each takes the numbers of one block and the place of its bytes. Scales are rounded to what is
// stored first (half_scale.h), so that none is cut off; then every q is the nearest.

/// The scale is max|x| / 127: every number is within half the scale.
void encode_q8_0(std::span<const float> values, std::byte* out);
void decode_q8_0(const std::byte* block, std::span<float> out);

/// The number of the largest size is -8 (-16) scales.
void encode_q4_0(std::span<const float> values, std::byte* out);
void decode_q4_0(const std::byte* block, std::span<float> out);
void encode_q5_0(std::span<const float> values, std::byte* out);
void decode_q5_0(const std::byte* block, std::span<float> out);

/// Scales and offsets of 32 (16) numbers by least squares.
void encode_q4_k(std::span<const float> values, std::byte* out);
void decode_q4_k(const std::byte* block, std::span<float> out);
void encode_q6_k(std::span<const float> values, std::byte* out);
void decode_q6_k(const std::byte* block, std::span<float> out);

}  // namespace zeroth::gguf
