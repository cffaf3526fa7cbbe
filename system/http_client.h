// An HTTP/1.1 client on Asio, with TLS by OpenSSL: one connection, kept between requests, one
// request at a time. Every wait has a deadline and can be cancelled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "system/http.h"

namespace zeroth {

/// Why a request got no response. what() names the URL and the reason.
class HttpError : public std::runtime_error {
 public:
  enum class Kind {
    connect,    // no such host, or nobody listens there
    timeout,    // a deadline passed
    tls,        // no common protocol, or a certificate that is not to be trusted
    closed,     // the connection ended early
    protocol,   // what came is no HTTP response
    too_large,  // the response is larger than the limit
    cancelled,  // by cancel()
  };

  HttpError(Kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

/// "timeout" for Kind::timeout.
std::string_view http_error_name(HttpError::Kind kind);

struct HttpClientConfig {
  std::string bearer_token = {};                      // sent with every request unless empty
  std::optional<std::filesystem::path> ca_file = {};  // PEM; the system's certificates without it
  double connect_seconds = 10;                        // name, connection and TLS handshake together
  double response_seconds = 60;  // from the request's last byte to the response's first
  double stall_seconds = 30;     // each such window moves its share of a body, either way:
  double min_bytes_per_second = 1024;
  std::size_t max_header_bytes = std::size_t{16} << 10;
  std::uint64_t max_body_bytes = std::uint64_t{64} << 20;
};

struct HttpClientRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, percent-encoded
  HttpHeaders headers = {};
  std::string body = {};
  std::optional<std::filesystem::path> body_file = {};  // in place of body
  /// Sending it twice does no harm. Only then is it sent again, once, when a kept connection turns
  /// out to be closed before a byte of the response.
  bool idempotent = false;
  std::optional<double> response_seconds = {};  // in place of the configuration's
};

class HttpClient {
 public:
  /// `url`: http:// or https://, a host name, IPv4 address or bracketed IPv6 address, a port if it
  /// is not the usual one. Connects with the first request. InputError for any other URL, for a
  /// CA file that is wrong, and for a token that would leave this machine unencrypted.
  explicit HttpClient(std::string_view url, HttpClientConfig config = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Sends the request and waits for the response, whatever its status. A body of 1 MiB or more
  /// first asks for leave (Expect: 100-continue). A response that comes before the body is sent
  /// ends the sending. HttpError when there is no response, InputError for a body_file that cannot
  /// be read, std::invalid_argument for a request that cannot be written and for a second send()
  /// while one is running.
  HttpResponse send(const HttpClientRequest& request);

  /// From any thread: a running send() throws at once, and every later one too, until renew().
  void cancel();
  /// Undoes cancel(). std::invalid_argument while a send() runs.
  void renew();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zeroth
