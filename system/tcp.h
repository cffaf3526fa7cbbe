// TCP connections, thinly: listening, connecting until a deadline, bytes in and out.
//
// Errors are std::system_error that name the operation and the peer; waiting past a deadline is one
// with std::errc::timed_out, a peer that closed one with std::errc::connection_reset. Non-goals:
// encryption and HTTP.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "system/file.h"

namespace zeroth {

using Deadline = std::chrono::steady_clock::time_point;

/// "10.0.0.7" of a connection's either end, without the port.
struct TcpEnds {
  std::string local;
  std::string peer;
};

class TcpStream {
 public:
  /// Connects to host:port, again and again while nobody listens there, until the deadline; then
  /// throws the last refusal.
  static TcpStream connect(const std::string& host, std::uint16_t port, Deadline deadline);

  TcpStream() = default;
  /// Takes over a connected socket; `name` is what errors call the peer.
  TcpStream(FileDescriptor socket, std::string name);

  bool is_open() const { return socket_.is_open(); }
  int descriptor() const { return socket_.get(); }
  TcpEnds ends() const;

  /// Sends all of `bytes`; a peer that takes none of them for 10 s is an error.
  void send(std::string_view bytes);
  /// Receives exactly `size` bytes.
  std::string receive(std::size_t size, Deadline deadline);
  /// What has arrived, without waiting: nullopt when nothing has, an empty text when the peer
  /// closed.
  std::optional<std::string> receive_some();

 private:
  FileDescriptor socket_;
  std::string name_;
};

class TcpListener {
 public:
  /// Listens on every address of this host; port 0 takes a free one.
  explicit TcpListener(std::uint16_t port);
  std::uint16_t port() const { return port_; }
  /// The next connection; nullopt when none came before the deadline.
  std::optional<TcpStream> accept(Deadline deadline);

 private:
  FileDescriptor socket_;
  std::uint16_t port_ = 0;
};

}  // namespace zeroth
