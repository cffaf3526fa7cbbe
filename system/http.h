// HTTP messages as values, shared by the server (http_server.h) and the client (http_client.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zeroth {

/// Header fields in the order of the message. Names compare without regard to ASCII case.
class HttpHeaders {
 public:
  using Field = std::pair<std::string, std::string>;

  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Field> fields) : fields_(fields) {}

  void add(std::string name, std::string value);
  /// The value of the first field called `name`; nullptr without one.
  const std::string* find(std::string_view name) const;
  std::size_t count(std::string_view name) const;

  bool empty() const { return fields_.empty(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

/// What a request says before its body.
struct HttpHead {
  std::string method;  // as written, e.g. "GET"
  std::string path;    // starts with '/' ("*" for OPTIONS *); percent-encoding is left as it is
  std::string query;   // what follows the first '?', without it
  HttpHeaders headers = {};
  int minor_version = 1;                            // of HTTP/1.x
  std::optional<std::uint64_t> content_length = 0;  // of the body; absent when it is sent in chunks
  std::string peer;                                 // "127.0.0.1:50312", "[::1]:50312"

  bool has_body() const { return content_length != 0; }
  /// The token of "Authorization: Bearer …"; absent without that field or with several.
  std::optional<std::string_view> bearer_token() const;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers = {};  // a server adds Content-Length, Connection and Date itself
  std::string body = {};
};

/// A response whose body is `json`, a JSON text.
HttpResponse json_response(int status, std::string json);

/// {"error":{"message":"…","field":"…"}}; without a field when it is empty.
HttpResponse error_response(int status, std::string_view message, std::string_view field = {});

/// Thrown by a handler or a body sink of a server: the request is answered with `response`, which
/// check_http_response has to take.
class HttpRefusal : public std::runtime_error {
 public:
  explicit HttpRefusal(HttpResponse response);
  HttpRefusal(int status, std::string_view message, std::string_view field = {});
  const HttpResponse& response() const noexcept { return response_; }

 private:
  HttpResponse response_;
};

/// "Not Found" for 404; "Unknown" for a status without a name.
std::string_view http_reason(int status);

/// std::invalid_argument for a name or value that would break the message, and for a field that is
/// written by the library itself (Content-Length, Transfer-Encoding, Connection,
/// Date).
void check_http_headers(const HttpHeaders& headers);

/// The same for the headers of `response`, and for a status outside 200 … 599.
void check_http_response(const HttpResponse& response);

}  // namespace zeroth
