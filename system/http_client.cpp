#include "system/http_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "system/error.h"
#include "system/host_lookup.h"
#include "system/http_client_exchange.h"
#include "system/http_client_stream.h"
#include "system/http_request_body.h"
#include "system/http_url.h"
#include "system/tls.h"

namespace zeroth {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Kind = HttpError::Kind;

constexpr std::uint64_t kAskForLeaveBytes = std::uint64_t{1} << 20;
constexpr auto kGlance = std::chrono::milliseconds(50);  // between looks for a cancel in a look-up

/// Thrown inside: a connection that was kept is found closed before a byte of the response.
struct StaleConnection {};

bool is_method(std::string_view method) {
  return !method.empty() &&
         std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_target(std::string_view target) {
  return target.starts_with('/') &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::string_view http_error_name(Kind kind) {
  switch (kind) {
    case Kind::connect:
      return "connect";
    case Kind::timeout:
      return "timeout";
    case Kind::tls:
      return "TLS";
    case Kind::closed:
      return "closed";
    case Kind::protocol:
      return "protocol";
    case Kind::too_large:
      return "too large";
    case Kind::cancelled:
      return "cancelled";
  }
  return "";
}

class HttpClient::Impl {
 public:
  Impl(std::string_view url, HttpClientConfig config)
      : url_(parse_http_url(url)), config_(std::move(config)) {
    if (!config_.bearer_token.empty()) {
      check_http_headers({{"Authorization", config_.bearer_token}});
      if (!url_.tls && !is_loopback_host(url_.host)) {
        throw InputError({.source = "URL",
                          .field = "",
                          .expected = "https:// where a token is sent to another machine",
                          .actual = url_.text});
      }
    }
    if (url_.tls) tls_.emplace(make_tls_client_context(config_.ca_file).release());
  }

  HttpResponse send(const HttpClientRequest& request) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) throw std::invalid_argument("HttpClient: a send() is already running");
    target_ = request.target;
    const std::string head = head_of(request);
    for (bool first = true;; first = false) {
      const bool kept = is_kept_connection_open();
      if (!kept) connect();
      try {
        return exchange(request, head, /*may_be_stale=*/kept && first && request.idempotent);
      } catch (const StaleConnection&) {
        give_up();
      } catch (...) {
        give_up();
        throw;
      }
    }
  }

  void cancel() {
    cancelled_ = true;
    asio::post(context_, [] {});  // wakes the one who waits
  }

  void renew() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) throw std::invalid_argument("HttpClient: renewed while a send() runs");
    cancelled_ = false;
  }

 private:
  [[noreturn]] void fail(Kind kind, const std::string& reason) const {
    throw HttpError(
        kind, url_.text + target_ + ": " + std::string(http_error_name(kind)) + ": " + reason);
  }

  void check_cancelled() const {
    if (cancelled_) fail(Kind::cancelled, "by the caller");
  }

  bool asks_for_leave(std::uint64_t size) const { return size >= kAskForLeaveBytes; }

  std::string head_of(const HttpClientRequest& request) const {
    if (!is_method(request.method)) {
      throw std::invalid_argument("HttpClient: not a method: " + request.method);
    }
    if (!is_target(request.target)) {
      throw std::invalid_argument("HttpClient: not a path: " + request.target);
    }
    check_http_headers(request.headers);
    for (const char* ours : {"Host", "Expect"}) {
      if (request.headers.find(ours) != nullptr) {
        throw std::invalid_argument(std::string("HttpClient: writes ") + ours + " itself");
      }
    }
    std::string head = request.method + " " + request.target + " HTTP/1.1\r\n";
    head += "Host: " + url_.authority + "\r\n";
    if (!config_.bearer_token.empty()) {
      head += "Authorization: Bearer " + config_.bearer_token + "\r\n";
    }
    for (const auto& [name, value] : request.headers) {
      head.append(name).append(": ").append(value).append("\r\n");
    }
    return head;
  }

  HttpResponse exchange(const HttpClientRequest& request, std::string head, bool may_be_stale) {
    HttpRequestBody body(request);
    const bool asks = asks_for_leave(body.size());
    if (body.size() > 0 || request.method == "POST" || request.method == "PUT") {
      head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    head += asks ? "Expect: 100-continue\r\n\r\n" : "\r\n";
    const auto exchange = std::make_shared<HttpClientExchange>(
        stream_, std::move(head), std::move(body), config_,
        request.response_seconds.value_or(config_.response_seconds), request.method == "HEAD",
        asks);
    exchange->start();
    while (!exchange->is_complete()) {
      check_cancelled();
      if (const auto& failure = exchange->failure()) {
        if (may_be_stale && failure->kind == Kind::closed && exchange->got_nothing()) {
          throw StaleConnection();
        }
        fail(failure->kind, failure->reason);
      }
      const auto deadline = exchange->next_deadline();
      if (const auto now = Clock::now(); now >= deadline) {
        exchange->on_deadline(now);
      } else {
        context_.restart();
        context_.run_one_until(deadline);
      }
    }
    HttpResponse response = exchange->take_response();
    if (!exchange->is_reusable()) give_up();
    return response;
  }

  /// Closes the connection and lets what was under way on it end.
  void give_up() {
    if (!stream_) return;
    error_code ignored;
    stream_->socket().close(ignored);
    context_.restart();
    context_.run_for(std::chrono::seconds(1));  // at once: everything is aborted
    stream_.reset();
  }

  // Nothing should be readable between two requests; if something is, it is the end.
  bool is_kept_connection_open() {
    if (!stream_) return false;
    char byte = 0;
    const ssize_t got =
        ::recv(stream_->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    give_up();
    return false;
  }

  void connect() {
    const auto deadline = Clock::now() + steady_duration(config_.connect_seconds);
    const auto endpoints = find_endpoints(deadline);
    if (url_.tls) {
      stream_ = std::make_shared<HttpClientTlsStream>(context_, *tls_, url_.host);
    } else {
      stream_ = std::make_shared<HttpClientPlainStream>(context_);
    }
    try {
      const error_code error = wait(deadline, "connecting", [&](auto done) {
        asio::async_connect(stream_->socket(), endpoints,
                            [done](error_code result, const tcp::endpoint&) { done(result, 0); });
      });
      if (error) fail(Kind::connect, error.message());
      error_code ignored;
      stream_->socket().set_option(tcp::no_delay(true), ignored);
      stream_->socket().set_option(asio::socket_base::keep_alive(true), ignored);
      const error_code refused =
          wait(deadline, "TLS handshake", [&](auto done) { stream_->handshake(done); });
      if (refused) fail_handshake(refused);
    } catch (...) {
      give_up();
      throw;
    }
  }

  [[noreturn]] void fail_handshake(error_code error) const {
    const std::string certificate = stream_->certificate_error();
    if (!certificate.empty()) fail(Kind::tls, "the certificate is refused: " + certificate);
    const bool ended = error == asio::error::eof || error == asio::error::connection_reset ||
                       error == asio::ssl::error::stream_truncated;
    fail(Kind::tls, ended ? "the peer ended the handshake" : error.message());
  }

  /// The result of what `start` starts.
  template <class Start>
  error_code wait(Clock::time_point deadline, const std::string& what, Start start) {
    const auto result = std::make_shared<std::optional<error_code>>();
    start([result](error_code error, std::size_t) { *result = error; });
    while (!result->has_value()) {
      check_cancelled();
      if (Clock::now() >= deadline) {
        fail(Kind::timeout, what + " took longer than " + seconds_text(config_.connect_seconds));
      }
      context_.restart();
      context_.run_one_until(deadline);
    }
    check_cancelled();
    return result->value();
  }

  std::vector<tcp::endpoint> find_endpoints(Clock::time_point deadline) const {
    check_cancelled();
    error_code error;
    const auto address = asio::ip::make_address(url_.host, error);
    if (!error) return {{address, url_.port}};
    if (url_.host == "localhost") {  // RFC 6761, 6.3: needs no asking
      return {{asio::ip::address_v4::loopback(), url_.port},
              {asio::ip::address_v6::loopback(), url_.port}};
    }
    // getaddrinfo cannot be stopped: past the deadline its thread is left to end by itself.
    const auto lookup = std::make_shared<HostLookup>();
    std::thread([lookup, host = url_.host, port = url_.port] {
      look_up(*lookup, host, port);
    }).detach();
    std::unique_lock lock(lookup->mutex);
    while (!lookup->done) {
      check_cancelled();
      const auto now = Clock::now();
      if (now >= deadline) {
        fail(Kind::timeout,
             "looking up the host took longer than " + seconds_text(config_.connect_seconds));
      }
      lookup->changed.wait_until(lock, std::min(deadline, now + kGlance));
    }
    if (lookup->error != 0) fail(Kind::connect, ::gai_strerror(lookup->error));
    if (lookup->endpoints.empty()) fail(Kind::connect, "the host has no address");
    return lookup->endpoints;
  }

  const HttpUrl url_;
  const HttpClientConfig config_;
  std::optional<asio::ssl::context> tls_;
  asio::io_context context_{1};
  std::mutex mutex_;                          // held by the send() that runs
  std::shared_ptr<HttpClientStream> stream_;  // the kept connection
  std::string target_;                        // of the request that runs, for errors
  std::atomic<bool> cancelled_{false};
};

HttpClient::HttpClient(std::string_view url, HttpClientConfig config)
    : impl_(std::make_unique<Impl>(url, std::move(config))) {}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::send(const HttpClientRequest& request) {
  return impl_->send(request);
}

void HttpClient::cancel() {
  impl_->cancel();
}

void HttpClient::renew() {
  impl_->renew();
}

}  // namespace zeroth
