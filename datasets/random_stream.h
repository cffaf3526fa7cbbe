// Random numbers for data generation: a pure function of a key and a counter, so that a draw
// depends neither on threads nor on what was drawn for another problem.
//
// The key's three words are absorbed one after the other by SplitMix64's finaliser (Steele, Lea and
// Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014); draw i of a stream is
// finaliser(base + (i + 1) * gamma), which is SplitMix64 started at `base`. Non-goal: cryptographic
// strength.
#pragma once

#include <cstdint>

namespace zeroth {

struct RandomKey {
  std::uint64_t seed = 0;    // of the run or data set
  std::uint64_t stream = 0;  // what the numbers are for, so that two uses never share draws
  std::uint64_t index = 0;   // the problem, trace or epoch
};

inline std::uint64_t mix_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// The draws of one key, in order.
class RandomStream {
 public:
  explicit RandomStream(RandomKey key)
      : state_(mix_bits(mix_bits(mix_bits(key.seed + kGamma) + key.stream + kGamma) + key.index +
                        kGamma)) {}

  std::uint64_t next() { return mix_bits(state_ += kGamma); }

  /// In [0, 1), a multiple of 2^-53.
  double next_uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// In [0, bound), bound >= 1. By multiplication (Lemire 2019, without rejection): no value is
  /// favoured by more than bound / 2^64.
  std::uint64_t next_below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  static constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15ULL;  // 2^64 / golden ratio, odd
  std::uint64_t state_;
};

}  // namespace zeroth
