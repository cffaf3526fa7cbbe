// A TCP proxy on the loopback that does to a connection what networks and dying processes do: by a
// seeded schedule it ends, delays, cuts, corrupts and doubles what goes either way, and at a test's
// word it falls silent.
#pragma once

#include <netinet/tcp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "tests/support/http_fixture.h"

namespace zeroth::testing {

/// How many of a thousand pieces, each of up to 4 KiB and in either direction, meet each fault.
struct FaultRates {
  unsigned end = 0;      // both sides are closed
  unsigned cut = 0;      // a part goes on, then both sides are closed
  unsigned delay = 0;    // by up to 5 ms
  unsigned corrupt = 0;  // one byte becomes another
  unsigned twice = 0;    // the piece comes twice
};

class FaultProxy {
 public:
  /// Connections go on to `target`, a port of the loopback.
  FaultProxy(std::uint16_t target, FaultRates rates, unsigned seed)
      : target_(target), rates_(rates), seed_(seed), accepting_([this] { accept(); }) {}
  ~FaultProxy() {
    stopping_ = true;
    accepting_.join();
    for (std::thread& pump : pumps_) pump.join();
  }
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  std::string url() const { return listener_.url(); }
  int num_connections() const { return num_connections_; }  // so far
  int num_faults() const { return num_faults_; }
  /// From now on everything is taken and nothing is passed on, or all goes on again.
  void set_silent(bool silent) { silent_ = silent; }

 private:
  struct Pair {
    FileDescriptor client, server;
    std::atomic<bool> ended = false;
  };

  static bool is_readable(int socket) {
    pollfd ready{.fd = socket, .events = POLLIN, .revents = 0};
    return ::poll(&ready, 1, 10) > 0;
  }

  void accept() {
    while (!stopping_) {
      if (!is_readable(listener_.socket())) continue;
      auto pair = std::make_shared<Pair>();
      pair->client = FileDescriptor(::accept(listener_.socket(), nullptr, nullptr));
      const int number = num_connections_++;
      try {
        pair->server = RawConnection(target_).release();
      } catch (const std::runtime_error&) {
        continue;  // nobody listens there: the client's side is closed
      }
      const int at_once = 1;  // no piece waits for another
      for (const FileDescriptor* socket : {&pair->client, &pair->server})
        ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
      for (const bool upwards : {true, false}) {
        pumps_.emplace_back([this, pair, number, upwards] {
          pump(*pair, upwards,
               seed_ * 7919 + 2 * static_cast<unsigned>(number) + (upwards ? 1 : 0));
        });
      }
    }
  }

  void pump(Pair& pair, bool upwards, unsigned seed) {
    std::mt19937 random(seed);
    const int from = (upwards ? pair.client : pair.server).get();
    const int to = (upwards ? pair.server : pair.client).get();
    while (!stopping_ && !pair.ended) {
      if (!is_readable(from)) continue;
      char bytes[4096];
      const ssize_t size = ::recv(from, bytes, sizeof bytes, 0);
      if (size <= 0) break;
      if (silent_) continue;
      if (!pass_on(to, {bytes, static_cast<std::size_t>(size)}, random)) break;
    }
    // Both ends see the end at once; what is on its way the other way is lost, as in a crash.
    pair.ended = true;
    ::shutdown(pair.client.get(), SHUT_RDWR);
    ::shutdown(pair.server.get(), SHUT_RDWR);
  }

  bool pass_on(int to, std::string piece, std::mt19937& random) {
    const auto hits = [&](unsigned rate) {
      const bool hit = random() % 1000 < rate;
      num_faults_ += hit ? 1 : 0;
      return hit;
    };
    if (hits(rates_.delay)) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 6));
    if (hits(rates_.end)) return false;
    if (hits(rates_.corrupt))
      piece[random() % piece.size()] ^= static_cast<char>(1 + random() % 255);
    if (hits(rates_.cut)) {
      send(to, piece.substr(0, random() % piece.size()));
      return false;
    }
    if (hits(rates_.twice)) piece += piece;
    return send(to, piece);
  }

  static bool send(int to, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(to, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  const std::uint16_t target_;
  const FaultRates rates_;
  const unsigned seed_;
  Listener listener_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> silent_ = false;
  std::atomic<int> num_connections_ = 0;
  std::atomic<int> num_faults_ = 0;
  std::list<std::thread> pumps_;  // of the accepting thread, until it ends
  std::thread accepting_;         // last: it uses all of the above
};

}  // namespace zeroth::testing
