// Vectors of floats for tests of kernels: seeded values, comparison by bits, NaN around what may be
// touched.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/random.h"

namespace zeroth::testing {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Sizes below, at and beyond the widths that the kernels work in.
inline constexpr std::int64_t kOddSizes[] = {1, 3, 15, 16, 17, 31, 33, 100};

/// `count` values between -scale and scale, a function of the seed alone.
inline std::vector<float> random_floats(std::int64_t count, std::uint32_t seed,
                                        double scale = 1.0) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto words = Philox::block({static_cast<std::uint32_t>(i), 0, 0, 0}, {seed, 1});
    values[i] = static_cast<float>((2.0 * uniform_double(words[0], words[1]) - 1.0) * scale);
  }
  return values;
}

inline std::vector<double> as_doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// Equal as bits: +0 and -0 differ, a NaN equals itself.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

inline float round_to_bf16(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, 4);
  bits = (bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline std::vector<float> rounded_to_bf16(std::vector<float> values) {
  for (float& value : values) value = round_to_bf16(value);
  return values;
}

/// A dense [rows, columns] matrix with rows `stride` apart and NaN in between and behind.
inline std::vector<float> widened(const std::vector<float>& dense, std::int64_t columns,
                                  std::int64_t stride) {
  const std::int64_t rows = columns == 0 ? 0 : static_cast<std::int64_t>(dense.size()) / columns;
  std::vector<float> wide(static_cast<std::size_t>(rows * stride), kNan);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) wide[r * stride + c] = dense[r * columns + c];
  }
  return wide;
}

/// The inverse of widened().
inline std::vector<float> narrowed(const std::vector<float>& wide, std::int64_t columns,
                                   std::int64_t stride) {
  std::vector<float> dense;
  for (std::size_t r = 0; r < wide.size(); r += static_cast<std::size_t>(stride)) {
    for (std::int64_t c = 0; c < columns; ++c)
      dense.push_back(wide[r + static_cast<std::size_t>(c)]);
  }
  return dense;
}

/// Whether all that lies between and behind the rows is still NaN.
inline bool padding_is_nan(const std::vector<float>& wide, std::int64_t columns,
                           std::int64_t stride) {
  for (std::size_t i = 0; i < wide.size(); ++i) {
    if (static_cast<std::int64_t>(i) % stride >= columns && !std::isnan(wide[i])) return false;
  }
  return true;
}

/// Values with 32 NaN before and behind them: a kernel that reads too far gives NaN, one that
/// writes too far leaves a trace.
class Guarded {
 public:
  explicit Guarded(const std::vector<float>& values)
      : all_(values.size() + 2 * kGuard, kNan), size_(values.size()) {
    std::copy(values.begin(), values.end(), all_.begin() + kGuard);
  }
  explicit Guarded(std::int64_t size)
      : Guarded(std::vector<float>(static_cast<std::size_t>(size), kNan)) {}

  float* data() { return all_.data() + kGuard; }
  const float* data() const { return all_.data() + kGuard; }
  std::vector<float> values() const { return {data(), data() + size_}; }
  bool intact() const {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if ((i < kGuard || i >= kGuard + size_) && !std::isnan(all_[i])) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 32;
  std::vector<float> all_;
  std::size_t size_;
};

}  // namespace zeroth::testing
