// The store is torchrun's: what goes over the wire is compared with what PyTorch's TCPStore says.
#include "policy/mesh/tcp_store.h"

#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "policy/mesh/mesh.h"
#include "tests/support/ranks.h"

namespace zeroth {
namespace {

using namespace std::string_literals;
using Clock = std::chrono::steady_clock;

Deadline soon() {
  return Clock::now() + std::chrono::seconds(20);
}

TEST_CASE("tcp store: queries byte by byte", "[policy]") {
  TcpListener listener(0);
  std::string received;
  std::thread server([&] {
    TcpStream stream = listener.accept(soon()).value();
    const std::size_t set = 1 + 8 + 3 + 8 + 5;
    received = stream.receive(5 + set, soon());
    received += stream.receive(1 + 8 + 8 + 3, soon());  // waits
    stream.send("\0"s);
    received += stream.receive(1 + 8 + 3, soon());  // gets
    stream.send("\5\0\0\0\0\0\0\0"s);
    stream.send("29511");
  });
  TcpStore store("127.0.0.1", listener.port(), soon());
  store.set("k/0", "29511");
  CHECK(store.wait("k/0", soon()) == "29511");
  server.join();
  CHECK(received ==
        "\0\xCE\xF7\x85\x3C"s  // VALIDATE
        "\1\3\0\0\0\0\0\0\0k/0\5\0\0\0\0\0\0\0"s
        "29511"                                                          // SET
        "\6\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0k/0\3\3\0\0\0\0\0\0\0k/0"s);  // WAIT, GET
}

TEST_CASE("tcp store: a key that nobody sets, and an answer that is none", "[policy]") {
  for (const bool answers : {false, true}) {
    TcpListener listener(0);
    std::thread server([&] {
      TcpStream stream = listener.accept(soon()).value();
      stream.receive(5 + 20, soon());
      if (answers) stream.send("\0"s + std::string(8, '\xFF'));
      while (stream.receive_some() != std::string())
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
    {
      TcpStore store("127.0.0.1", listener.port(), soon());
      const Deadline deadline = Clock::now() + std::chrono::milliseconds(answers ? 20'000 : 200);
      CHECK_THROWS_AS(store.wait("k/0", deadline), std::runtime_error);
    }
    server.join();
  }
}

TEST_CASE("tcp store: ranks meet by way of a store that is not theirs", "[policy]") {
  TcpListener listener(0);
  // A store for two clients and one key.
  std::thread server([&] {
    std::string port;
    std::vector<std::thread> clients;
    std::mutex mutex;
    for (int i = 0; i < 2; ++i) {
      clients.emplace_back([&, stream = listener.accept(soon()).value()]() mutable {
        const std::size_t key = 8 + std::string("zeroth/job/1/rank-0-port").size();
        stream.receive(5, soon());
        if (stream.receive(1, soon()) == "\1") {
          stream.receive(key, soon());
          const auto size = static_cast<std::size_t>(stream.receive(8, soon())[0]);
          const std::lock_guard lock(mutex);
          port = stream.receive(size, soon());
          return;
        }
        stream.receive(8 + key, soon());
        for (bool known = false; !known;) {
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
          const std::lock_guard lock(mutex);
          known = !port.empty();
        }
        stream.send("\0"s);
        stream.receive(1 + key, soon());
        stream.send(std::string(1, static_cast<char>(port.size())) + std::string(7, '\0') + port);
      });
    }
    for (std::thread& client : clients) client.join();
  });
  std::vector<std::thread> ranks;
  std::vector<std::size_t> met(2);
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      Launch launch = testing::launch_of(rank, 2, listener.port());
      launch.agent_store = true;
      launch.run_id = "job/1";
      Mesh mesh(launch, testing::test_mesh_options());
      met[static_cast<std::size_t>(rank)] = mesh.exchange("x").size();
    });
  }
  for (std::thread& rank : ranks) rank.join();
  server.join();
  CHECK(met == std::vector<std::size_t>{2, 2});
}

}  // namespace
}  // namespace zeroth
