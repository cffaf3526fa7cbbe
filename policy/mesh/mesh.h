// The ranks of a run: who they are, and whether they are all still there.
//
// Every rank holds one TCP connection to rank 0. At the start it carries the introductions; then a
// thread of each rank sends a sign of life over it every second. A connection that closes, a rank
// that is silent too long, or one that says it failed is a lost rank: rank 0 tells all others, and
// from then on check() throws on every rank, with the name of the one that was lost. Bulk data goes
// elsewhere (policy/mesh/collectives.h).
//
// The promise: no rank waits for another longer than `silence`, unless that one computes.
// Non-goals: going on without a rank, or taking in a new one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "policy/mesh/launch.h"

namespace zeroth {

struct MeshOptions {
  std::chrono::milliseconds rendezvous{300'000};  // how long the ranks wait for each other
  std::chrono::milliseconds heartbeat{1'000};
  std::chrono::milliseconds silence{10'000};  // after which a rank counts as lost
};

/// A rank that is gone: "rank 1 (node02, process 4711) is gone: connection closed".
class LostRank : public std::runtime_error {
 public:
  LostRank(int rank, const std::string& what) : std::runtime_error(what), rank_(rank) {}
  int rank() const noexcept { return rank_; }

 private:
  int rank_;
};

/// What every rank knows of every rank.
struct Peer {
  std::string host;  // its name
  std::int64_t process = 0;
  std::string address;  // numeric, where the others reach it
};

class Mesh {
 public:
  /// One rank that is alone; nothing is opened.
  Mesh();
  /// Meets the others. std::runtime_error naming the ranks that did not come in time, the address
  /// where rank 0 was not found, or the rank that was started twice or as one of another number;
  /// InputError where rank 0 cannot listen on MASTER_PORT.
  explicit Mesh(const Launch& launch, const MeshOptions& options = {});
  /// Takes leave; while an exception is on its way, tells the others that this rank failed.
  ~Mesh();
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  int rank() const;
  int size() const { return static_cast<int>(peers().size()); }
  const std::vector<Peer>& peers() const;

  /// Every rank's bytes in the order of the ranks, by way of rank 0; for a few bytes, and before
  /// watch() only.
  std::vector<std::string> exchange(std::string_view bytes);

  /// Begins to send and expect signs of life. `on_loss` is called once, from another thread, when a
  /// rank is lost.
  void watch(std::function<void()> on_loss);
  /// Ends it: `on_loss` is not called any more when this returns.
  void unwatch();

  /// Throws LostRank when a rank is lost.
  void check() const;
  /// Throws LostRank as soon as a rank is lost; returns after `patience` when none is.
  void check_within(std::chrono::milliseconds patience) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zeroth
