// One connection of the HTTP server: a state machine over bytes that come and bytes that go.
// Sockets are the business of http_socket_connection.h. Internal to the server.
#pragma once

#include <atomic>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "system/http_exchange.h"
#include "system/http_reader.h"
#include "system/http_server.h"
#include "system/rate_watch.h"

namespace zeroth {

/// What the connections of a server share; used on its thread only, but for the count.
struct HttpServerShared {
  const HttpServerConfig& config;
  HttpHandler& handler;
  std::shared_ptr<HttpMailbox> mailbox;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections;
  std::atomic<std::size_t> num_connections{0};
  std::uint64_t buffered_bytes = 0;
  std::string date;
  bool stopping = false;

  void report(std::string_view text) const noexcept {
    try {
      if (config.on_error) config.on_error(text);
    } catch (...) {  // there is nobody left to tell
    }
  }
};

/// Its life and its bytes are in http_connection.cpp, its requests in http_connection_request.cpp.
/// Everything runs on the server's thread.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Clock = std::chrono::steady_clock;
  using error_code = boost::system::error_code;

  HttpConnection(HttpServerShared& shared, std::string peer, bool refused);
  virtual ~HttpConnection() = default;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void start();
  void close();
  /// The server stops: what is on its way out may go, the rest ends.
  void stop();
  /// Ends what is past its deadline.
  void check(Clock::time_point now);
  /// This process did not look for `time`; its peers are not to blame.
  void extend_deadlines(Clock::duration time);
  /// The responder is done.
  void on_answer();

  /// Runs one of the above; whatever it throws ends this connection and nothing else.
  template <class Step>
  void guard(Step step) noexcept {
    const auto self = shared_from_this();
    try {
      step();
    } catch (...) {
      end_after_exception();
    }
  }

 protected:
  virtual void start_handshake() = 0;                                // → on_handshake
  virtual void start_read(char* data, std::size_t size) = 0;         // → on_read
  virtual void start_write(const char* data, std::size_t size) = 0;  // → on_write
  virtual void start_shutdown() = 0;                                 // → on_shutdown
  virtual void start_drain(char* data, std::size_t size) = 0;        // below TLS → on_drain
  virtual void close_socket() = 0;

  void on_handshake(error_code error);
  void on_read(error_code error, std::size_t size);
  void on_write(error_code error, std::size_t size);
  void on_shutdown();
  void on_drain(error_code error);

 private:
  enum class State {
    handshake,
    head,       // of the next request, which may be long in coming
    body,       // of an accepted request
    discard,    // the rest of a request that was refused
    handling,   // the handler has it
    closing,    // the last answer is being sent
    lingering,  // it was sent; the peer may still have to read it
    closed,
  };

  // http_connection.cpp
  bool can_parse() const;
  void advance();
  void end_of_input();
  void time_head();
  void send(std::string text);
  void flush();
  void continue_write();
  void read_more();
  void linger();
  void drain();

  // http_connection_request.cpp
  bool step();
  void on_head();
  void begin_body(State state);
  void refuse(HttpResponse response);
  HttpResponse too_large() const;
  void on_body(std::string_view bytes);
  void on_complete();
  static HttpResponse dropped();
  void finish_exchange(HttpResponse otherwise);
  void next_request();
  void fail(HttpResponse response);
  void end_after_exception() noexcept;
  void forget_request();
  void abort_sink();
  void release_budget();
  void send_response(HttpResponse response, bool keep);

  HttpServerShared& shared_;
  const HttpLimits& limits_;
  std::string peer_;
  bool refused_;  // over the limit of connections
  State state_ = State::handshake;
  Clock::time_point deadline_{};  // of handshake, head and lingering

  HttpRequestReader reader_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // what of the buffer has come and is not read yet
  std::size_t end_ = 0;
  bool reading_ = false;
  bool ended_ = false;  // the peer sends no more
  bool shut_down_ = false;

  HttpRequest request_;
  std::uint64_t max_body_bytes_ = 0;
  std::uint64_t buffered_bytes_ = 0;  // its part of Shared's
  std::shared_ptr<HttpExchange> exchange_;
  bool is_head_request_ = false;
  bool head_started_ = false;
  bool is_idle_new_ = false;
  RateWatch body_watch_;

  std::vector<std::string> pending_;
  std::vector<std::string> outgoing_;  // being written, the last one first
  std::size_t written_ = 0;            // of outgoing_.back()
  std::size_t unsent_bytes_ = 0;
  bool writing_ = false;
  RateWatch write_watch_;
};

}  // namespace zeroth
