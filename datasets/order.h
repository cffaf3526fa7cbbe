// The order in which a run visits its problems: a new permutation every epoch, computed from the
// position alone.
//
// Goal: resuming needs the position and nothing else. Method: the swap-or-not shuffle (Hoang,
// Morris and Rogaway, "An Enciphering Scheme Based on a Card Shuffle", CRYPTO 2012), which permutes
// [0, n) for any n without a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace zeroth {

/// A permutation of [0, size) chosen by a key. O(log size) a call.
class KeyedPermutation {
 public:
  /// Throws std::invalid_argument when size is 0 or above 2^63.
  KeyedPermutation(std::uint64_t size, std::uint64_t seed, std::uint64_t stream);

  /// Where `index` (< size, else std::invalid_argument) goes.
  std::uint64_t at(std::uint64_t index) const;

 private:
  struct Round {
    std::uint64_t pivot;  // index x is paired with (pivot - x) mod size
    std::uint64_t key;    // decides, pair by pair, whether the two are exchanged
  };
  std::uint64_t size_;
  std::vector<Round> rounds_;
};

/// Endless sequence of problem indices: positions e*n … e*n + n-1 are a permutation of [0, n),
/// another one for each epoch e.
class ProblemOrder {
 public:
  /// Throws std::invalid_argument when num_problems is 0.
  ProblemOrder(std::size_t num_problems, std::uint64_t seed);

  std::size_t at(std::uint64_t position) const;
  std::uint64_t epoch(std::uint64_t position) const { return position / num_problems_; }

 private:
  std::size_t num_problems_;
  std::uint64_t seed_;
};

}  // namespace zeroth
