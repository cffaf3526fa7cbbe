// A connection of the HTTP client, with TLS or without. Internal to the client, and included by
// http_client.cpp alone: Asio takes long to compile.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstddef>
#include <string>
#include <utility>

#include "system/http_client_exchange.h"
#include "system/tls.h"

namespace zeroth {

class HttpClientStream : public HttpByteStream {
 public:
  virtual boost::asio::ip::tcp::socket& socket() = 0;
  virtual void handshake(Done done) = 0;
  virtual std::string certificate_error() = 0;
};

class HttpClientPlainStream final : public HttpClientStream {
 public:
  explicit HttpClientPlainStream(boost::asio::io_context& context) : socket_(context) {}
  boost::asio::ip::tcp::socket& socket() override { return socket_; }
  void handshake(Done done) override { done({}, 0); }
  void read_some(char* data, std::size_t size, Done done) override {
    socket_.async_read_some(boost::asio::buffer(data, size), std::move(done));
  }
  void write_some(const char* data, std::size_t size, Done done) override {
    socket_.async_write_some(boost::asio::buffer(data, size), std::move(done));
  }
  std::string certificate_error() override { return ""; }

 private:
  boost::asio::ip::tcp::socket socket_;
};

class HttpClientTlsStream final : public HttpClientStream {
 public:
  HttpClientTlsStream(boost::asio::io_context& context, boost::asio::ssl::context& tls,
                      const std::string& host)
      : stream_(context, tls) {
    expect_tls_host(stream_.native_handle(), host);
  }
  boost::asio::ip::tcp::socket& socket() override { return stream_.next_layer(); }
  void handshake(Done done) override {
    stream_.async_handshake(
        boost::asio::ssl::stream_base::client,
        [done = std::move(done)](boost::system::error_code error) { done(error, 0); });
  }
  void read_some(char* data, std::size_t size, Done done) override {
    stream_.async_read_some(boost::asio::buffer(data, size), std::move(done));
  }
  void write_some(const char* data, std::size_t size, Done done) override {
    stream_.async_write_some(boost::asio::buffer(data, size), std::move(done));
  }
  std::string certificate_error() override { return tls_verify_error(stream_.native_handle()); }

 private:
  boost::asio::ssl::stream<boost::asio::ip::tcp::socket> stream_;
};

}  // namespace zeroth
