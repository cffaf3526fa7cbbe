// What the tests of HTTP share: a handler made of functions, a client that is nothing but a socket,
// and a wait for things that happen on another thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "system/file.h"
#include "system/http_server.h"

namespace zeroth::testing {

constexpr double kPatience = 20;  // seconds for what should happen at once, on a busy machine

/// Whether `condition` comes true in time.
inline bool eventually(const std::function<bool()>& condition, double seconds = kPatience) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Takes every body into memory and echoes method, path and body, until a test says otherwise.
class FunctionHandler : public HttpHandler {
 public:
  std::function<HttpDecision(const HttpHead&)> head = [](const HttpHead&) {
    return HttpAcceptBody{};
  };
  std::function<void(HttpRequest, HttpResponder)> request = [](HttpRequest asked,
                                                               HttpResponder responder) {
    responder.answer({.body = asked.head.method + " " + asked.head.path + " " + asked.body});
  };

  HttpDecision on_head(const HttpHead& of) override { return head(of); }
  void on_request(HttpRequest of, HttpResponder responder) override {
    request(std::move(of), std::move(responder));
  }
};

/// A TCP connection that says exactly what it is told.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
  }

  explicit RawConnection(FileDescriptor socket) : socket_(std::move(socket)) {}

  /// False when the peer takes no more.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void end_sending() { ::shutdown(socket_.get(), SHUT_WR); }
  /// Closes with a reset, as a process that was killed over unread data does.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() { socket_ = FileDescriptor(); }
  FileDescriptor release() { return std::move(socket_); }

  /// What comes until `until` is seen, the peer ends, or patience does (then with "<timeout>").
  std::string read_until(std::string_view until, double seconds = kPatience) {
    const auto start = std::chrono::steady_clock::now();
    while (seconds_since(start) < seconds) {
      if (const std::size_t at = buffer_.find(until); !until.empty() && at != std::string::npos) {
        std::string text = buffer_.substr(0, at + until.size());
        buffer_.erase(0, at + until.size());
        return text;
      }
      pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      char bytes[65536];
      const ssize_t n = ::recv(socket_.get(), bytes, sizeof bytes, 0);
      if (n <= 0) {
        was_reset_ = n < 0;
        return std::exchange(buffer_, "");
      }
      buffer_.append(bytes, static_cast<std::size_t>(n));
    }
    return std::exchange(buffer_, "") + "<timeout>";
  }
  /// The next `size` bytes, or as many as come.
  std::string read_bytes(std::size_t size) {
    while (buffer_.size() < size) {
      char bytes[65536];
      pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, static_cast<int>(1000 * kPatience)) <= 0) break;
      const ssize_t n = ::recv(socket_.get(), bytes, sizeof bytes, 0);
      if (n <= 0) break;
      buffer_.append(bytes, static_cast<std::size_t>(n));
    }
    std::string text = buffer_.substr(0, size);
    buffer_.erase(0, text.size());
    return text;
  }
  /// Everything until the peer ends.
  std::string read_all(double seconds = kPatience) { return read_until("", seconds); }
  bool was_reset() const { return was_reset_; }

 private:
  FileDescriptor socket_;
  std::string buffer_;
  bool was_reset_ = false;
};

/// A server that is nothing but a socket: the test says what it answers.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), any, size) != 0 || ::listen(socket_.get(), 16) != 0 ||
        ::getsockname(socket_.get(), any, &size) != 0) {
      throw std::runtime_error("listen");
    }
    port_ = ntohs(address.sin_port);
  }

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int socket() const { return socket_.get(); }
  RawConnection accept() const {
    return RawConnection(FileDescriptor(::accept(socket_.get(), nullptr, nullptr)));
  }

 private:
  FileDescriptor socket_;
  std::uint16_t port_ = 0;
};

inline std::string get(const std::string& path = "/") {
  return "GET " + path + " HTTP/1.1\r\nHost: here\r\n\r\n";
}

inline std::string post(const std::string& body, const std::string& fields = "") {
  return "POST / HTTP/1.1\r\nHost: here\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline int status_of(std::string_view response) {
  if (!response.starts_with("HTTP/1.1 ") || response.size() < 12) return 0;
  return std::stoi(std::string(response.substr(9, 3)));
}

/// One request on a connection of its own; the server closes it or `until` comes.
inline std::string ask(std::uint16_t port, const std::string& text, std::string_view until = "") {
  RawConnection connection(port);
  connection.send(text);
  return connection.read_until(until);
}

}  // namespace zeroth::testing
