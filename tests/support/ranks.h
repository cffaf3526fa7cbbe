// Several ranks of a run in one test: each a thread with a mesh and collectives of its own, over
// the loopback.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "policy/mesh/collectives.h"
#include "policy/mesh/mesh.h"
#include "system/tcp.h"

namespace zeroth::testing {

/// A port that was free a moment ago.
inline std::uint16_t free_port() {
  return TcpListener(0).port();
}

inline Launch launch_of(int rank, int world_size, std::uint16_t port) {
  return {.rank = rank,
          .world_size = world_size,
          .master_addr = "127.0.0.1",
          .master_port = port,
          .agent_store = false,
          .run_id = "test"};
}

/// Patience enough for a busy machine, and no more than a test should take.
inline MeshOptions test_mesh_options() {
  return {.rendezvous = std::chrono::seconds(20),
          .heartbeat = std::chrono::milliseconds(100),
          .silence = std::chrono::seconds(20)};
}

/// Runs `body` once a rank, at the same time; what each threw, null for nothing. One rank is alone,
/// as a run without a launcher is.
inline std::vector<std::exception_ptr> outcomes_of_ranks(
    int world_size, const std::function<void(Collectives&)>& body) {
  const std::uint16_t port = free_port();
  std::vector<std::exception_ptr> outcomes(static_cast<std::size_t>(world_size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        Mesh mesh(launch_of(rank, world_size, port), test_mesh_options());
        Collectives collectives(mesh);
        body(collectives);
      } catch (...) {
        outcomes[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

/// The same, for bodies that are to succeed: throws what the first rank that failed threw.
inline void run_ranks(int world_size, const std::function<void(Collectives&)>& body) {
  for (const std::exception_ptr& outcome : outcomes_of_ranks(world_size, body)) {
    if (outcome) std::rethrow_exception(outcome);
  }
}

inline std::string what_of(const std::exception_ptr& outcome) {
  if (!outcome) return "";
  try {
    std::rethrow_exception(outcome);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace zeroth::testing
