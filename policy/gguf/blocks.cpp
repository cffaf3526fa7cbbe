#include "policy/gguf/blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "policy/gguf/half_scale.h"

namespace zeroth::gguf {
namespace {

constexpr std::size_t kHalf = 16;  // numbers of a block in the low halves of its bytes

/// Of the largest size, with its sign.
float extreme_of(std::span<const float> values) {
  return *std::max_element(values.begin(), values.end(),
                           [](float a, float b) { return std::abs(a) < std::abs(b); });
}

/// The steps of `scale`, from 0 to 2 offset - 1, whose middle `offset` is zero.
template <std::size_t Count>
std::array<unsigned, Count> steps_of(std::span<const float> values, float scale, int offset) {
  std::array<unsigned, Count> steps{};
  for (std::size_t i = 0; i < Count; ++i) {
    const float step = scale == 0.0F ? 0.0F : std::round(values[i] / scale);
    const float least = static_cast<float>(-offset);
    steps[i] =
        static_cast<unsigned>(static_cast<int>(std::clamp(step, least, -least - 1.0F)) + offset);
  }
  return steps;
}

}  // namespace

void encode_q8_0(std::span<const float> values, std::byte* out) {
  const float scale = put_half(std::abs(extreme_of(values)), 127.0F, out);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float steps = scale == 0.0F ? 0.0F : std::round(values[i] / scale);
    const auto byte = static_cast<std::int8_t>(std::clamp(steps, -127.0F, 127.0F));
    out[2 + i] = static_cast<std::byte>(byte);
  }
}

void decode_q8_0(const std::byte* block, std::span<float> out) {
  const float scale = half_at(block);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
  }
}

void encode_q4_0(std::span<const float> values, std::byte* out) {
  const float scale = put_half(extreme_of(values), -8.0F, out);
  const auto steps = steps_of<2 * kHalf>(values, scale, 8);
  for (std::size_t i = 0; i < kHalf; ++i) {
    out[2 + i] = static_cast<std::byte>(steps[i] | steps[i + kHalf] << 4U);
  }
}

void decode_q4_0(const std::byte* block, std::span<float> out) {
  const float scale = half_at(block);
  for (std::size_t i = 0; i < kHalf; ++i) {
    const auto byte = static_cast<unsigned>(block[2 + i]);
    out[i] = scale * static_cast<float>(static_cast<int>(byte & 15U) - 8);
    out[i + kHalf] = scale * static_cast<float>(static_cast<int>(byte >> 4U) - 8);
  }
}

void encode_q5_0(std::span<const float> values, std::byte* out) {
  const float scale = put_half(extreme_of(values), -16.0F, out);
  const auto steps = steps_of<2 * kHalf>(values, scale, 16);
  std::uint32_t fifth = 0;
  for (std::size_t i = 0; i < 2 * kHalf; ++i) fifth |= (steps[i] >> 4U) << i;
  std::memcpy(out + 2, &fifth, sizeof(fifth));
  for (std::size_t i = 0; i < kHalf; ++i) {
    out[6 + i] = static_cast<std::byte>((steps[i] & 15U) | (steps[i + kHalf] & 15U) << 4U);
  }
}

void decode_q5_0(const std::byte* block, std::span<float> out) {
  const float scale = half_at(block);
  std::uint32_t fifth = 0;
  std::memcpy(&fifth, block + 2, sizeof(fifth));
  for (std::size_t i = 0; i < 2 * kHalf; ++i) {
    const auto byte = static_cast<unsigned>(block[6 + i % kHalf]);
    const unsigned four = i < kHalf ? byte & 15U : byte >> 4U;
    const unsigned step = four | (fifth >> i & 1U) << 4U;
    out[i] = scale * static_cast<float>(static_cast<int>(step) - 16);
  }
}

}  // namespace zeroth::gguf
