// A connection of the HTTP server over its socket, with TLS or without. Internal to the server, and
// included by http_server.cpp alone: Asio takes long to compile.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "system/http_connection.h"

namespace zeroth {

// The executor by its type: the default one hides it behind virtual calls.
using HttpExecutor = boost::asio::io_context::executor_type;
using HttpSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, HttpExecutor>;
using HttpTlsStream = boost::asio::ssl::stream<HttpSocket>;

/// Stream is HttpSocket or HttpTlsStream.
template <class Stream>
class HttpSocketConnection final : public HttpConnection {
 public:
  static constexpr bool kTls = !std::is_same_v<Stream, HttpSocket>;

  template <class... TlsArgument>
  HttpSocketConnection(HttpServerShared& shared, std::string peer, bool refused, HttpSocket socket,
                       TlsArgument&... tls)
      : HttpConnection(shared, std::move(peer), refused), stream_(std::move(socket), tls...) {}

 private:
  void start_handshake() override {
    if constexpr (kTls) {
      stream_.async_handshake(boost::asio::ssl::stream_base::server,
                              [this, self = shared_from_this()](error_code error) {
                                guard([&] { on_handshake(error); });
                              });
    } else {
      on_handshake({});
    }
  }
  void start_read(char* data, std::size_t size) override {
    stream_.async_read_some(boost::asio::buffer(data, size),
                            [this, self = shared_from_this()](error_code error, std::size_t n) {
                              guard([&] { on_read(error, n); });
                            });
  }
  void start_write(const char* data, std::size_t size) override {
    stream_.async_write_some(boost::asio::buffer(data, size),
                             [this, self = shared_from_this()](error_code error, std::size_t n) {
                               guard([&] { on_write(error, n); });
                             });
  }
  void start_shutdown() override {
    if constexpr (kTls) {
      stream_.async_shutdown(
          [this, self = shared_from_this()](error_code) { guard([&] { end_sending(); }); });
    } else {
      end_sending();
    }
  }
  void start_drain(char* data, std::size_t size) override {
    socket().async_read_some(boost::asio::buffer(data, size),
                             [this, self = shared_from_this()](error_code error, std::size_t) {
                               guard([&] { on_drain(error); });
                             });
  }
  void close_socket() override {
    error_code ignored;
    socket().close(ignored);
  }

  void end_sending() {
    error_code ignored;
    socket().shutdown(HttpSocket::shutdown_send, ignored);
    on_shutdown();
  }
  HttpSocket& socket() {
    if constexpr (kTls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  Stream stream_;
};

}  // namespace zeroth
