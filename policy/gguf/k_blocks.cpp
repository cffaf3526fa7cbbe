// q4_k and q6_k: 256 numbers in parts of 32 (16), each with a scale of its own in steps of the
// block's.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "policy/gguf/blocks.h"
#include "policy/gguf/half_scale.h"

namespace zeroth::gguf {
namespace {

constexpr int kRounds = 6;  // of assigning steps and fitting scales; few change after four

float nearest_step(float value, float scale, float least, float most) {
  return scale == 0.0F ? std::clamp(0.0F, least, most)
                       : std::clamp(std::round(value / scale), least, most);
}

/// x ≈ scale q - offset, q from 0 to 15, scale and offset not negative.
struct Affine {
  float scale = 0.0F, offset = 0.0F;
};

/// Least squares for the steps that `from` gives.
Affine refit(std::span<const float> values, const Affine& from) {
  double n = 0, q1 = 0, q2 = 0, x1 = 0, xq = 0;
  for (const float value : values) {
    const double q =
        static_cast<double>(nearest_step(value + from.offset, from.scale, 0.0F, 15.0F));
    const double x = static_cast<double>(value);
    n += 1, q1 += q, q2 += q * q, x1 += x, xq += x * q;
  }
  const double determinant = n * q2 - q1 * q1;
  if (determinant <= 0) return from;  // all steps are one
  const double scale = (n * xq - q1 * x1) / determinant;
  const double offset = (q1 * xq - q2 * x1) / determinant;
  if (scale <= 0) return from;
  if (offset < 0) return {static_cast<float>(std::max(0.0, xq / q2)), 0.0F};
  return {static_cast<float>(scale), static_cast<float>(offset)};
}

double error_of(std::span<const float> values, const Affine& fit) {
  double error = 0;
  for (const float value : values) {
    const float q = nearest_step(value + fit.offset, fit.scale, 0.0F, 15.0F);
    const double difference = static_cast<double>(value - (fit.scale * q - fit.offset));
    error += difference * difference;
  }
  return error;
}

Affine fit_affine(std::span<const float> values) {
  const float least = std::min(0.0F, *std::min_element(values.begin(), values.end()));
  const float most = *std::max_element(values.begin(), values.end());
  Affine fit{std::max(0.0F, most - least) / 15.0F, -least}, best = fit;
  double best_error = error_of(values, fit);
  for (int round = 0; round < kRounds; ++round) {
    fit = refit(values, fit);
    const double error = error_of(values, fit);
    if (error < best_error) best = fit, best_error = error;
  }
  return best;
}

/// x ≈ scale q, q from -32 to 31, so that the largest number is a whole step.
float fit_scale(std::span<const float> values) {
  const float extreme = *std::max_element(
      values.begin(), values.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  float scale = extreme / -32.0F, best = scale;
  double best_error = -1;
  for (int round = 0; round < kRounds; ++round) {
    double q2 = 0, xq = 0, error = 0;
    for (const float value : values) {
      const double x = static_cast<double>(value);
      const double q = static_cast<double>(nearest_step(value, scale, -32.0F, 31.0F));
      const double difference = x - static_cast<double>(scale) * q;
      q2 += q * q, xq += x * q, error += difference * difference;
    }
    if (best_error < 0 || error < best_error) best = scale, best_error = error;
    if (q2 == 0) break;
    scale = static_cast<float>(xq / q2);
  }
  return best;
}

// Eight scales s and eight offsets t of 6 bits in 12 bytes: byte j < 4 holds s[j] and the upper two
// bits of s[j + 4], byte j + 4 the same of t, byte j + 8 the lower four bits of s[j + 4] and
// t[j + 4].
struct Sixes {
  std::array<unsigned, 8> scales{}, offsets{};
};

void pack(const Sixes& sixes, std::byte* out) {
  for (std::size_t j = 0; j < 4; ++j) {
    const unsigned s = sixes.scales[j + 4], t = sixes.offsets[j + 4];
    out[j] = static_cast<std::byte>(sixes.scales[j] | (s >> 4U) << 6U);
    out[j + 4] = static_cast<std::byte>(sixes.offsets[j] | (t >> 4U) << 6U);
    out[j + 8] = static_cast<std::byte>((s & 15U) | (t & 15U) << 4U);
  }
}

Sixes unpack(const std::byte* bytes) {
  Sixes sixes;
  for (std::size_t j = 0; j < 4; ++j) {
    const auto a = static_cast<unsigned>(bytes[j]), b = static_cast<unsigned>(bytes[j + 4]),
               c = static_cast<unsigned>(bytes[j + 8]);
    sixes.scales[j] = a & 63U;
    sixes.offsets[j] = b & 63U;
    sixes.scales[j + 4] = (c & 15U) | (a >> 6U) << 4U;
    sixes.offsets[j + 4] = (c >> 4U) | (b >> 6U) << 4U;
  }
  return sixes;
}

// Of q4_k: d, m, the sixes, the steps.
constexpr std::size_t kSixesAt = 4, kStepsAt = 16;

}  // namespace

void encode_q4_k(std::span<const float> values, std::byte* out) {
  std::array<Affine, 8> fits;
  float scale = 0.0F, offset = 0.0F;
  for (std::size_t part = 0; part < 8; ++part) {
    fits[part] = fit_affine(values.subspan(32 * part, 32));
    scale = std::max(scale, fits[part].scale);
    offset = std::max(offset, fits[part].offset);
  }
  const float d = put_half(scale, 63.0F, out), m = put_half(offset, 63.0F, out + 2);
  Sixes sixes;
  for (std::size_t part = 0; part < 8; ++part) {
    sixes.scales[part] = static_cast<unsigned>(nearest_step(fits[part].scale, d, 0.0F, 63.0F));
    sixes.offsets[part] = static_cast<unsigned>(nearest_step(fits[part].offset, m, 0.0F, 63.0F));
  }
  pack(sixes, out + kSixesAt);
  std::fill(out + kStepsAt, out + kStepsAt + 128, std::byte{0});
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t part = i / 32;
    const float part_scale = d * static_cast<float>(sixes.scales[part]);
    const float part_offset = m * static_cast<float>(sixes.offsets[part]);
    const auto step =
        static_cast<unsigned>(nearest_step(values[i] + part_offset, part_scale, 0.0F, 15.0F));
    out[kStepsAt + i / 64 * 32 + i % 32] |= static_cast<std::byte>(step << 4U * (part % 2));
  }
}

void decode_q4_k(const std::byte* block, std::span<float> out) {
  const float d = half_at(block), m = half_at(block + 2);
  const Sixes sixes = unpack(block + kSixesAt);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t part = i / 32;
    const unsigned step =
        static_cast<unsigned>(block[kStepsAt + i / 64 * 32 + i % 32]) >> 4U * (part % 2) & 15U;
    out[i] = d * static_cast<float>(sixes.scales[part]) * static_cast<float>(step) -
             m * static_cast<float>(sixes.offsets[part]);
  }
}

namespace {

// Of q6_k: the lower four bits, the upper two, scales, d. In each half of 128 numbers, number
// 32 k + l shares its byte of lower bits with number 32 (k ± 2) + l, and its byte of upper bits
// with the three others at l.
constexpr std::size_t kUpperAt = 128, kScalesAt = 192, kHalfAt = 208;

struct Place {
  std::size_t lower, upper;  // bytes
  unsigned lower_shift, upper_shift;
};

Place place_of(std::size_t i) {
  const std::size_t half = i / 128, k = i % 128 / 32, l = i % 32;
  return {.lower = 64 * half + 32 * (k % 2) + l,
          .upper = kUpperAt + 32 * half + l,
          .lower_shift = static_cast<unsigned>(4 * (k / 2)),
          .upper_shift = static_cast<unsigned>(2 * k)};
}

float part_scale(const std::byte* block, std::size_t part) {
  return half_at(block + kHalfAt) *
         static_cast<float>(static_cast<std::int8_t>(block[kScalesAt + part]));
}

}  // namespace

void encode_q6_k(std::span<const float> values, std::byte* out) {
  std::array<float, 16> scales{};
  float most = 0.0F;
  for (std::size_t part = 0; part < 16; ++part) {
    scales[part] = fit_scale(values.subspan(16 * part, 16));
    most = std::max(most, std::abs(scales[part]));
  }
  std::fill(out, out + kHalfAt, std::byte{0});
  const float d = put_half(most, 127.0F, out + kHalfAt);
  for (std::size_t part = 0; part < 16; ++part) {
    const float step = nearest_step(scales[part], d, -127.0F, 127.0F);
    out[kScalesAt + part] = static_cast<std::byte>(static_cast<std::int8_t>(step));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float step = nearest_step(values[i], part_scale(out, i / 16), -32.0F, 31.0F);
    const auto q = static_cast<unsigned>(static_cast<int>(step) + 32);
    const Place place = place_of(i);
    out[place.lower] |= static_cast<std::byte>((q & 15U) << place.lower_shift);
    out[place.upper] |= static_cast<std::byte>((q >> 4U) << place.upper_shift);
  }
}

void decode_q6_k(const std::byte* block, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Place place = place_of(i);
    const unsigned lower = static_cast<unsigned>(block[place.lower]) >> place.lower_shift & 15U;
    const unsigned upper = static_cast<unsigned>(block[place.upper]) >> place.upper_shift & 3U;
    out[i] =
        part_scale(block, i / 16) * static_cast<float>(static_cast<int>(lower | upper << 4U) - 32);
  }
}

}  // namespace zeroth::gguf
