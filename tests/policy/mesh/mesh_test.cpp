// Meeting, taking leave and getting lost: every rank is a thread here, so that a test can let one
// of them go wrong. tests/end_to_end kills processes.
#include "policy/mesh/mesh.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/support/ranks.h"

namespace zeroth {
namespace {

using testing::free_port;
using testing::launch_of;
using testing::outcomes_of_ranks;
using testing::run_ranks;
using testing::what_of;
using Clock = std::chrono::steady_clock;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What meeting ends in for a rank: the error's text, empty when it met the others.
std::string meet(const Launch& launch, std::chrono::milliseconds patience) {
  try {
    const Mesh mesh(launch, {.rendezvous = patience});
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

TEST_CASE("mesh: ranks learn who is who", "[policy]") {
  run_ranks(3, [](Collectives& collectives) {
    const std::vector<std::string> ranks = collectives.gather(std::to_string(collectives.rank()));
    if (ranks != std::vector<std::string>{"0", "1", "2"}) throw std::runtime_error("another order");
  });
  const std::uint16_t port = free_port();
  std::vector<std::thread> threads;
  std::vector<std::vector<std::string>> exchanged(2);
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      Mesh mesh(launch_of(rank, 2, port));
      exchanged[static_cast<std::size_t>(rank)] = mesh.exchange("from " + std::to_string(rank));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(exchanged[0] == std::vector<std::string>{"from 0", "from 1"});
  CHECK(exchanged[1] == exchanged[0]);
}

TEST_CASE("mesh: one rank alone opens nothing and loses nobody", "[policy]") {
  Mesh mesh;
  CHECK(mesh.size() == 1);
  CHECK(mesh.exchange("a") == std::vector<std::string>{"a"});
  mesh.watch([] {});
  mesh.check();
}

TEST_CASE("mesh: ranks that do not come are named, to those that came, too", "[policy]") {
  const std::uint16_t port = free_port();
  const auto start = Clock::now();
  std::string first;
  std::thread other([&] { first = meet(launch_of(0, 4, port), std::chrono::milliseconds(600)); });
  const std::string second = meet(launch_of(2, 4, port), std::chrono::seconds(20));
  other.join();
  CHECK(first == "of 4 ranks these did not come within 0.6 s: 1, 3");
  CHECK(second == first);
  CHECK(seconds_since(start) < 10);
}

TEST_CASE("mesh: without a rank 0 the address is named", "[policy]") {
  const std::uint16_t port = free_port();
  const std::string error = meet(launch_of(1, 2, port), std::chrono::milliseconds(300));
  CHECK_THAT(error, StartsWith("rank 0 is missing"));
  CHECK_THAT(error, Contains("127.0.0.1:" + std::to_string(port)));
  CHECK_THAT(error, Contains("refused"));
}

TEST_CASE("mesh: ranks that do not belong together are refused", "[policy]") {
  const std::uint16_t port = free_port();
  Launch second = launch_of(1, 3, port);
  std::string reason;
  SECTION("another number of ranks") {
    second.world_size = 2;
    reason = "was started as one of 2 ranks, rank 0 as one of 3";
  }
  SECTION("another run") {
    second.run_id = "other";
    reason = "belongs to run \"other\"";
  }
  SECTION("rank 0 twice") {
    second.rank = 0;
    reason = "MASTER_PORT";
  }
  std::string first_error;
  std::thread first([&] {
    first_error = meet(launch_of(0, 3, port), std::chrono::seconds(second.rank == 0 ? 1 : 20));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::string second_error = meet(second, std::chrono::seconds(10));
  first.join();
  CHECK_THAT(second_error, Contains(reason));
  if (second.rank != 0) CHECK_THAT(first_error, Contains(reason));
}

TEST_CASE("mesh: whoever knocks and is no rank is not heard", "[policy]") {
  const std::uint16_t port = free_port();
  std::string first_error;
  std::thread first([&] { first_error = meet(launch_of(0, 2, port), std::chrono::seconds(20)); });
  {
    const Deadline soon = Clock::now() + std::chrono::seconds(10);
    TcpStream::connect("127.0.0.1", port, soon).send("GET / HTTP/1.1\r\n\r\n");
    TcpStream::connect("127.0.0.1", port, soon);  // and says nothing
  }
  CHECK(meet(launch_of(1, 2, port), std::chrono::seconds(20)).empty());
  first.join();
  CHECK(first_error.empty());
}

TEST_CASE("mesh: a rank that fails is named on all others, also while they wait for it",
          "[policy]") {
  for (const int lost : {0, 1, 2}) {
    const auto start = Clock::now();
    const auto outcomes = outcomes_of_ranks(3, [&](Collectives& collectives) {
      collectives.any(false);
      if (collectives.rank() == lost) throw std::runtime_error("out of paper");
      std::vector<float> values(1000, 1.0F);
      for (;;) collectives.sum(values);
    });
    CHECK(seconds_since(start) < 10);
    for (int rank = 0; rank < 3; ++rank) {
      const std::string what = what_of(outcomes[static_cast<std::size_t>(rank)]);
      INFO("rank " << rank << ": " << what);
      if (rank == lost) {
        CHECK(what == "out of paper");
      } else {
        CHECK_THAT(what, StartsWith("rank " + std::to_string(lost) + " ("));
        CHECK_THAT(what, Contains(" is gone: it failed"));
      }
    }
  }
}

TEST_CASE("mesh: a rank that falls silent is named after a while, and a computing one is not",
          "[policy]") {
  const std::uint16_t port = free_port();
  const MeshOptions impatient{.rendezvous = std::chrono::seconds(20),
                              .heartbeat = std::chrono::milliseconds(50),
                              .silence = std::chrono::milliseconds(700)};
  std::string what;
  double waited = 0.0;
  std::thread first([&] {
    Mesh mesh(launch_of(0, 2, port), impatient);
    mesh.watch([] {});
    const auto start = Clock::now();
    try {
      mesh.check_within(std::chrono::seconds(20));
    } catch (const LostRank& error) {
      what = error.what();
      CHECK(error.rank() == 1);
    }
    waited = seconds_since(start);
  });
  {
    Mesh mesh(launch_of(1, 2, port), impatient);
    mesh.watch([] {});
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // computes
    mesh.check();
    mesh.unwatch();  // says nothing any more
    first.join();
  }
  CHECK_THAT(what, Contains("no sign of life for 0.7 s"));
  CHECK(waited > 1.5);
  CHECK(waited < 10);
}

TEST_CASE("mesh: a rank that takes leave is not lost", "[policy]") {
  run_ranks(3, [](Collectives& collectives) {
    collectives.any(true);
    // The others are gone long before rank 1 is.
    if (collectives.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(400));
  });
}

}  // namespace
}  // namespace zeroth
