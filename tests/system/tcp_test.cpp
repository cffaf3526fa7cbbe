#include "system/tcp.h"

#include <catch2/catch.hpp>
#include <system_error>
#include <thread>

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;

Deadline in_seconds(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// Both ends of a connection over the loopback.
struct Pair {
  Pair() {
    TcpListener listener(0);
    a = TcpStream::connect("127.0.0.1", listener.port(), in_seconds(10));
    b = listener.accept(in_seconds(10)).value();
  }
  TcpStream a, b;
};

std::error_code error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

TEST_CASE("tcp: bytes arrive as they were sent, however they are cut", "[system]") {
  Pair pair;
  std::string text;
  for (int i = 0; i < 3'000'000; ++i) text += static_cast<char>(i * 7);
  std::thread sender([&] { pair.a.send(text); });
  std::string received = pair.b.receive(1, in_seconds(10));
  received += pair.b.receive(text.size() - 1, in_seconds(10));
  sender.join();
  CHECK(received == text);
}

TEST_CASE("tcp: ends are numeric addresses", "[system]") {
  const Pair pair;
  CHECK(pair.a.ends().local == "127.0.0.1");
  CHECK(pair.b.ends().peer == "127.0.0.1");
}

TEST_CASE("tcp: what has not come is not waited for past the deadline", "[system]") {
  Pair pair;
  CHECK_FALSE(pair.b.receive_some().has_value());
  pair.a.send("ab");
  CHECK(error_of([&] { pair.b.receive(3, in_seconds(0.1)); }) == std::errc::timed_out);
  TcpListener listener(0);
  CHECK_FALSE(listener.accept(in_seconds(0.05)).has_value());
}

TEST_CASE("tcp: a peer that closed is told", "[system]") {
  Pair pair;
  pair.a.send("ab");
  pair.a = TcpStream();
  CHECK(pair.b.receive(2, in_seconds(10)) == "ab");
  CHECK(pair.b.receive_some() == std::string());
  CHECK(error_of([&] { pair.b.receive(1, in_seconds(10)); }) == std::errc::connection_reset);
}

TEST_CASE("tcp: connecting waits for a listener until the deadline", "[system]") {
  const std::uint16_t port = TcpListener(0).port();
  CHECK(error_of([&] { TcpStream::connect("127.0.0.1", port, in_seconds(0.2)); }) ==
        std::errc::connection_refused);
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    TcpListener listener(port);
    CHECK(listener.accept(in_seconds(10)).has_value());
  });
  CHECK(TcpStream::connect("127.0.0.1", port, in_seconds(10)).is_open());
  late.join();
}

TEST_CASE("tcp: a port that is taken and a host that is none are errors with their names",
          "[system]") {
  const TcpListener listener(0);
  CHECK_THROWS_WITH(TcpListener(listener.port()),
                    Catch::Contains("listening on port " + std::to_string(listener.port())));
  CHECK_THROWS_WITH(TcpStream::connect("no.such.host.invalid", 1, in_seconds(0.1)),
                    Catch::Contains("no.such.host.invalid:1"));
}

}  // namespace
}  // namespace zeroth
