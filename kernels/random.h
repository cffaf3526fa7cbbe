// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3", SC'11). A number is a function of its key and counter, so it does not depend on
// the order of work, on batch mates or on threads.
#pragma once

#include <array>
#include <cstdint>

namespace zeroth {

struct Philox {
  using Counter = std::array<std::uint32_t, 4>;
  using Key = std::array<std::uint32_t, 2>;

  /// Ten rounds over `counter`; four independent uniform words.
  static constexpr Counter block(Counter counter, Key key) {
    constexpr std::uint32_t kMultiplier0 = 0xD2511F53u;
    constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57u;
    constexpr std::uint32_t kWeyl0 = 0x9E3779B9u;
    constexpr std::uint32_t kWeyl1 = 0xBB67AE85u;
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{kMultiplier0} * counter[0];
      const std::uint64_t p1 = std::uint64_t{kMultiplier1} * counter[2];
      counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0],
                 static_cast<std::uint32_t>(p1),
                 static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1],
                 static_cast<std::uint32_t>(p0)};
      key = {key[0] + kWeyl0, key[1] + kWeyl1};
    }
    return counter;
  }
};

/// A uniform double in [0, 1) with 53 bits from two words.
constexpr double uniform_double(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

/// Where a sampled token's random number comes from. Any two draws differ in at least one field.
struct SampleKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;      // of the run; evaluation uses its own stream
  std::uint32_t problem = 0;   // index in the step's batch of prompts
  std::uint32_t sample = 0;    // index in the group
  std::uint32_t position = 0;  // of the token in the completion
  std::uint32_t stream = 0;    // attempt and purpose: rollout, evaluation, …
};

/// A uniform double in [0, 1), a function of `key` alone.
constexpr double uniform_double(const SampleKey& key) {
  // Two blocks: the first folds what does not fit into one counter into a fresh key.
  const Philox::Counter folded = Philox::block(
      {key.step, key.stream, 0x5A65726Fu, 0x74680000u},
      {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
  const Philox::Counter words =
      Philox::block({key.problem, key.sample, key.position, folded[2]}, {folded[0], folded[1]});
  return uniform_double(words[0], words[1]);
}

}  // namespace zeroth
