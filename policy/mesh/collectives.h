// What the ranks of a run do together: sums and gathers over host memory, by Gloo over TCP.
//
// Every rank makes the same calls in the same order. A call returns when this rank has its result;
// where a rank is lost meanwhile (policy/mesh/mesh.h), it throws LostRank on all others.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/mesh/mesh.h"

namespace zeroth {

/// Some of a row of items: those from `begin` to before `end`.
struct Share {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t count() const { return end - begin; }
};

class Collectives {
 public:
  /// Of one rank that is alone: every result is its own part.
  Collectives();
  /// Connects every rank with every other and begins to watch them. `mesh` outlives this. Errors as
  /// Mesh's.
  explicit Collectives(Mesh& mesh);
  ~Collectives();
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_first() const { return rank_ == 0; }
  /// The part of `count` items that is rank `rank`'s: all items in the order of the ranks, and no
  /// share larger than another by more than one.
  Share share(std::size_t count, int rank) const;

  /// values[i] becomes the sum of every rank's values[i], the same bits on all of them. In fp32 the
  /// order of the sum is a function of (size, rank count) alone. Integers wrap around.
  void sum(std::span<float> values);
  void sum(std::span<std::int64_t> values);

  /// Every rank's bytes in the order of the ranks. Each rank may bring another number of them.
  std::vector<std::string> gather(std::string_view bytes);
  /// What rank 0 brings.
  std::string from_first(std::string_view bytes);
  /// Whether any rank says so.
  bool any(bool value);

 private:
  struct Gloo;
  int rank_ = 0;
  int size_ = 1;
  std::unique_ptr<Gloo> gloo_;  // null for one rank
};

}  // namespace zeroth
