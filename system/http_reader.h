// HTTP/1.1 messages out of a stream of bytes, without sockets: bytes go in as they come, events
// come out. Boost.Beast reads the syntax; what RFC 9112 asks of a server beyond that (one Host, no
// transfer coding but chunked, a bounded header) is checked here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "system/http.h"

namespace zeroth {

/// Bytes that are no message, or one that is refused.
class HttpProtocolError : public std::runtime_error {
 public:
  HttpProtocolError(int status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  int status() const noexcept { return status_; }  // what a server answers: 400, 431, 501, 505

 private:
  int status_;
};

enum class HttpEvent {
  need_more,  // nothing more to be had from this input
  head,       // head() is there
  body,       // body() is the next piece
  complete,   // the message has ended; reset() before the next one
};

/// The requests of one connection, one after the other.
class HttpRequestReader {
 public:
  explicit HttpRequestReader(std::size_t max_header_bytes);
  ~HttpRequestReader();

  /// Takes bytes from the front of `input` up to the next event. What it leaves at need_more has
  /// to be given again with more behind it. HttpProtocolError ends the connection.
  HttpEvent next(std::string_view& input);
  HttpHead& head();               // peer is left empty
  std::string_view body() const;  // a part of the input
  bool is_started() const;        // whether a byte of the message has come
  bool keep_alive() const;        // once the head is there
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The responses of one connection.
class HttpResponseReader {
 public:
  explicit HttpResponseReader(std::size_t max_header_bytes);
  ~HttpResponseReader();

  HttpEvent next(std::string_view& input);
  HttpResponse& head();                                 // status and headers; the body stays empty
  std::optional<std::uint64_t> content_length() const;  // where the header tells it
  std::string_view body() const;
  bool keep_alive() const;
  /// The peer has closed its side: whether that completes the message.
  bool end_of_stream();
  /// `without_body`: what comes answers a HEAD.
  void reset(bool without_body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zeroth
