#include "system/tcp.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <thread>

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kBetweenAttempts = std::chrono::milliseconds(50);
constexpr auto kSendTimeout = std::chrono::seconds(10);

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

void set_option(int socket, int level, int option, const void* value, socklen_t size) {
  if (setsockopt(socket, level, option, value, size) != 0) fail(errno, "setsockopt");
}

// Waits for `events`; false when the deadline came first.
bool wait_for(int socket, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd poll_for{.fd = socket, .events = events, .revents = 0};
    const int count =
        ::poll(&poll_for, 1, static_cast<int>(std::clamp<long>(left, 0L, 1'000'000L)));
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) fail(errno, "poll");
    if (Clock::now() >= deadline) return false;
  }
}

std::string numeric_host(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
    return text;
  }
  inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text, sizeof text);
  // An IPv4 connection to a socket that listens for both.
  constexpr std::string_view kMapped = "::ffff:";
  const std::string_view host = text;
  return std::string(host.starts_with(kMapped) ? host.substr(kMapped.size()) : host);
}

// One attempt at one address: the error's number, or 0 and the socket.
int try_connect(const addrinfo& address, Deadline deadline, FileDescriptor& socket) {
  socket = FileDescriptor(::socket(
      address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
  if (!socket.is_open()) return errno;
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait_for(socket.get(), POLLOUT, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace

TcpStream::TcpStream(FileDescriptor socket, std::string name)
    : socket_(std::move(socket)), name_(std::move(name)) {
  const int on = 1;
  set_option(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

TcpStream TcpStream::connect(const std::string& host, std::uint16_t port, Deadline deadline) {
  const std::string name = host + ":" + std::to_string(port);
  for (;;) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    int error = EHOSTUNREACH;
    std::string reason;
    if (const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
        code != 0) {
      reason = std::string(": ") + gai_strerror(code);
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
    for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
      FileDescriptor socket;
      error = try_connect(*address, deadline, socket);
      if (error == 0) return TcpStream(std::move(socket), name);
    }
    if (Clock::now() + kBetweenAttempts >= deadline) fail(error, "connecting to " + name + reason);
    std::this_thread::sleep_for(kBetweenAttempts);
  }
}

TcpEnds TcpStream::ends() const {
  sockaddr_storage local{};
  sockaddr_storage peer{};
  socklen_t size = sizeof local;
  if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&local), &size) != 0)
    fail(errno, "getsockname");
  size = sizeof peer;
  if (getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0)
    fail(errno, "getpeername");
  return {.local = numeric_host(local), .peer = numeric_host(peer)};
}

void TcpStream::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(socket_.get(), POLLOUT, Clock::now() + kSendTimeout))
        fail(ETIMEDOUT, "sending to " + name_);
    } else if (errno != EINTR) {
      fail(errno, "sending to " + name_);
    }
  }
}

std::optional<std::string> TcpStream::receive_some() {
  char buffer[65536];
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size >= 0) return std::string(buffer, static_cast<std::size_t>(size));
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) fail(errno, "receiving from " + name_);
  }
}

std::string TcpStream::receive(std::size_t size, Deadline deadline) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    if (!wait_for(socket_.get(), POLLIN, deadline)) fail(ETIMEDOUT, "receiving from " + name_);
    const ssize_t got = ::recv(socket_.get(), bytes.data() + have, size - have, MSG_DONTWAIT);
    if (got == 0) fail(ECONNRESET, name_ + " closed the connection");
    if (got < 0 && errno != EAGAIN && errno != EINTR) fail(errno, "receiving from " + name_);
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return bytes;
}

namespace {

// A socket bound to `port` on every address: IPv6 takes IPv4 connections, too. Not open where the
// machine has no such addresses.
FileDescriptor bound_socket(int family, std::uint16_t port, const std::string& what) {
  FileDescriptor socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return socket;
  const int on = 1;
  set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 any6{};
  any6.sin6_family = AF_INET6;
  any6.sin6_port = htons(port);
  sockaddr_in any4{};
  any4.sin_family = AF_INET;
  any4.sin_port = htons(port);
  const bool six = family == AF_INET6;
  const int off = 0;
  if (six) set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const auto* address =
      six ? reinterpret_cast<const sockaddr*>(&any6) : reinterpret_cast<const sockaddr*>(&any4);
  if (::bind(socket.get(), address, six ? sizeof any6 : sizeof any4) == 0) return socket;
  if (errno == EADDRNOTAVAIL) return FileDescriptor();
  fail(errno, what);
}

}  // namespace

TcpListener::TcpListener(std::uint16_t port) {
  const std::string what = "listening on port " + std::to_string(port);
  socket_ = bound_socket(AF_INET6, port, what);
  if (!socket_.is_open()) socket_ = bound_socket(AF_INET, port, what);
  if (!socket_.is_open() || ::listen(socket_.get(), SOMAXCONN) != 0) fail(errno, what);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    fail(errno, what);
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                            : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

std::optional<TcpStream> TcpListener::accept(Deadline deadline) {
  for (;;) {
    if (!wait_for(socket_.get(), POLLIN, deadline)) return std::nullopt;
    FileDescriptor socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.is_open()) return TcpStream(std::move(socket), "a peer");
    if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) fail(errno, "accept");
  }
}

}  // namespace zeroth
