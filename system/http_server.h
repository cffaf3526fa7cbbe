// An HTTP/1.1 server on Boost.Beast and Asio, with TLS by OpenSSL.
//
// Goals: a few hundred connections that may be hostile; answers that take minutes and come from any
// thread; bodies of any size into a sink. Bounded memory, a deadline on every wait for the peer.
// Non-goals: HTTP/2, WebSocket, compression, range requests, files served from a directory.
//
// One thread of the server's own does all input and output and calls the handler and the sinks:
// they return at once, and long work is answered later through the responder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "system/http.h"
#include "system/tls.h"

namespace zeroth {

struct HttpLimits {
  std::size_t max_header_bytes = std::size_t{16} << 10;
  std::uint64_t max_body_bytes = std::uint64_t{1} << 20;        // a handler may say otherwise
  std::uint64_t max_buffered_bytes = std::uint64_t{256} << 20;  // of bodies coming into memory
  std::size_t max_connections = 256;  // those beyond it are answered 503 and closed
  double header_seconds = 10;         // from a header's first byte (or the connection) to its end
  double idle_seconds = 60;           // between two requests
  double body_stall_seconds = 30;     // each such window brings its share of a body …
  double write_stall_seconds = 30;    // … or takes its share of an answer:
  double min_bytes_per_second = 1024;
  double linger_seconds =
      2;  // reads on after the last answer, so that a peer still sending gets it
};

struct HttpServerConfig {
  std::string address = "127.0.0.1";  // an IP address, or localhost
  std::uint16_t port = 0;             // 0: a free one
  std::optional<TlsFiles> tls = {};
  /// The caller's word that the handler asks a token for everything but what all may see. Without
  /// it and TLS an address other than the loopback's is refused.
  bool authenticated = false;
  HttpLimits limits = {};
  double drain_seconds = 1;  // what stop() gives to answers on their way
  /// Told, on the server's thread, what no peer should read: an exception of the handler that was
  /// answered 500, an accept that failed.
  std::function<void(std::string_view)> on_error = {};
};

/// Takes a body in pieces, in order. Either the whole body comes and the sink is in the request
/// that the handler gets, or abort() is called, once. An exception of write() aborts and is
/// answered as one of the handler's.
class HttpBodySink {
 public:
  virtual ~HttpBodySink() = default;
  virtual void write(std::string_view bytes) = 0;
  virtual void abort() noexcept = 0;
};

struct HttpReject {
  HttpResponse response;
};
/// The body into memory; longer than the limit it is answered 413.
struct HttpAcceptBody {
  std::optional<std::uint64_t> max_body_bytes = {};  // limits.max_body_bytes without it
};
/// The body into `sink`.
struct HttpStreamBody {
  std::shared_ptr<HttpBodySink> sink;
  std::uint64_t max_body_bytes = 0;
};
using HttpDecision = std::variant<HttpAcceptBody, HttpStreamBody, HttpReject>;

struct HttpRequest {
  HttpHead head;
  std::string body;                    // of HttpAcceptBody
  std::shared_ptr<HttpBodySink> sink;  // of HttpStreamBody
  std::uint64_t body_bytes = 0;
};

class HttpExchange;

/// Answers one request, once, from any thread, now or later; also after the server has gone, to no
/// effect. Dropped without an answer, it answers 500.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<HttpExchange> exchange);
  HttpResponder(HttpResponder&& other) noexcept;
  HttpResponder& operator=(HttpResponder&& other) noexcept;
  HttpResponder(const HttpResponder&) = delete;
  HttpResponder& operator=(const HttpResponder&) = delete;
  ~HttpResponder();

  /// std::invalid_argument for a second answer or one that check_http_response refuses. The body of
  /// an answer to HEAD is counted and not sent.
  void answer(HttpResponse response);

  /// Whether nobody waits any more: the peer has closed its side, or the server has stopped.
  bool is_cancelled() const;

 private:
  void drop() noexcept;
  std::shared_ptr<HttpExchange> exchange_;  // empty once answered
};

/// Both calls come on the server's thread. HttpRefusal is answered with its response, InputError
/// with 400 and its text, anything else with 500 (and told to on_error).
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// The header has come: whether and how to take the body.
  virtual HttpDecision on_head(const HttpHead& head) = 0;
  /// The whole request has come.
  virtual void on_request(HttpRequest request, HttpResponder responder) = 0;
};

class HttpServer {
 public:
  /// Listens and serves at once. `handler` must outlive the server. InputError for an address that
  /// is none, is taken or may not be served, and for TLS files that are wrong.
  HttpServer(HttpServerConfig config, HttpHandler& handler);
  ~HttpServer();  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  std::size_t num_connections() const;

  /// Takes no more requests, sends the answers that were given, closes what is open and cancels
  /// what is unanswered. Returns within about drain_seconds, and no call to the handler comes after
  /// it. Not from the server's own thread (std::invalid_argument).
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zeroth
