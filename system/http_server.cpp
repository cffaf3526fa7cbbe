#include "system/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/string.hpp>
#include <chrono>
#include <ctime>
#include <mutex>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "system/error.h"
#include "system/http_reader.h"
#include "system/rate_watch.h"

namespace zeroth {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

// The executor by its type: the default one hides it behind virtual calls.
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

constexpr auto kTick = std::chrono::milliseconds(100);  // how late a deadline may be noticed
constexpr auto kLate = std::chrono::seconds(1);         // a tick later than this was held up by us
constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxUnsentBytes = std::size_t{256} << 10;  // then no request is read
constexpr std::size_t kJoinBytes = std::size_t{64} << 10;  // answers are sent together up to it
constexpr std::uint64_t kMaxDiscardBytes = std::uint64_t{64} << 10;  // of a refused request
constexpr std::size_t kMaxRefusals = 64;  // connections over the limit that are told so at a time

Clock::duration seconds(double value) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

// "Date: …\r\n", RFC 9110, 5.6.7. strftime's names follow the locale.
std::string date_field(std::time_t time) {
  constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  std::array<char, 40> numbers{};
  std::string text = "Date: ";
  text += kDays.at(static_cast<std::size_t>(utc.tm_wday));
  text.append(numbers.data(), std::strftime(numbers.data(), numbers.size(), ", %d ", &utc));
  text += kMonths.at(static_cast<std::size_t>(utc.tm_mon));
  text.append(numbers.data(),
              std::strftime(numbers.data(), numbers.size(), " %Y %H:%M:%S GMT\r\n", &utc));
  return text;
}

/// A way into the server's thread that may outlive it.
class Mailbox {
 public:
  explicit Mailbox(asio::io_context& context) : context_(&context) {}

  template <class Task>
  void post(Task task) {
    const std::lock_guard lock(mutex_);
    if (context_ != nullptr) asio::post(*context_, std::move(task));
  }
  void close() {
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
  }

 private:
  std::mutex mutex_;
  asio::io_context* context_;
};

class Connection;

}  // namespace

/// What a responder shares with the connection that waits for it.
class HttpExchange {
 public:
  HttpExchange(std::shared_ptr<Mailbox> mailbox, std::weak_ptr<Connection> connection)
      : mailbox_(std::move(mailbox)), connection_(std::move(connection)) {}

  void answer(HttpResponse response) {
    std::unique_lock lock(mutex_);
    response_ = std::move(response);
    wake(std::move(lock));
  }

  // A handler that throws drops its responder on the way out: what it threw is the better answer,
  // so that a drop is noted and answered by the connection.
  void drop() {
    std::unique_lock lock(mutex_);
    dropped_ = true;
    wake(std::move(lock));
  }

  /// The handler has returned. Whether the responder is done already; if not, it wakes.
  bool end_call() {
    const std::lock_guard lock(mutex_);
    in_call_ = false;
    return response_ || dropped_;
  }

  std::optional<HttpResponse> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(response_, std::nullopt);
  }

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  void wake(std::unique_lock<std::mutex> lock);

  std::shared_ptr<Mailbox> mailbox_;
  std::weak_ptr<Connection> connection_;
  std::mutex mutex_;
  std::optional<HttpResponse> response_;
  bool dropped_ = false;
  bool in_call_ = true;
  std::atomic<bool> cancelled_{false};
};

HttpResponder::HttpResponder(std::shared_ptr<HttpExchange> exchange)
    : exchange_(std::move(exchange)) {}

HttpResponder::HttpResponder(HttpResponder&& other) noexcept = default;

HttpResponder& HttpResponder::operator=(HttpResponder&& other) noexcept {
  if (this != &other) {
    drop();
    exchange_ = std::move(other.exchange_);
  }
  return *this;
}

HttpResponder::~HttpResponder() {
  drop();
}

void HttpResponder::drop() noexcept {
  if (exchange_) exchange_->drop();
  exchange_.reset();
}

void HttpResponder::answer(HttpResponse response) {
  if (!exchange_) throw std::invalid_argument("HttpResponder: answered twice");
  check_http_response(response);
  exchange_->answer(std::move(response));
  exchange_.reset();
}

bool HttpResponder::is_cancelled() const {
  return exchange_ && exchange_->is_cancelled();
}

namespace {

/// What the connections of a server share; used on its thread only, but for the count.
struct Shared {
  const HttpServerConfig& config;
  HttpHandler& handler;
  std::shared_ptr<Mailbox> mailbox;
  std::unordered_set<std::shared_ptr<Connection>> connections;
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

void check_decision(const HttpDecision& decision) {
  if (const auto* rejected = std::get_if<HttpReject>(&decision)) {
    check_http_response(rejected->response);
  } else if (const auto* streamed = std::get_if<HttpStreamBody>(&decision)) {
    if (!streamed->sink) throw std::invalid_argument("HttpStreamBody without a sink");
  }
}

/// What the exception in flight is answered with.
HttpResponse answer_to_exception(const Shared& shared) {
  try {
    throw;
  } catch (const HttpRefusal& refusal) {
    return refusal.response();
  } catch (const InputError& error) {
    return error_response(400, error.what(), error.parts().field);
  } catch (const std::exception& error) {
    shared.report(error.what());
  } catch (...) {
    shared.report("an exception of no known type");
  }
  return error_response(500, "internal error");
}

/// One connection: a state machine over bytes that come and bytes that go. Sockets are the business
/// of the class below. Everything runs on the server's thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shared& shared, std::string peer, bool refused)
      : shared_(shared),
        limits_(shared.config.limits),
        peer_(std::move(peer)),
        refused_(refused),
        reader_(limits_.max_header_bytes),
        buffer_(std::max(kReadBytes, limits_.max_header_bytes + 4096)),
        body_watch_(limits_.body_stall_seconds, limits_.min_bytes_per_second),
        write_watch_(limits_.write_stall_seconds, limits_.min_bytes_per_second) {}
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() {
    deadline_ = Clock::now() + seconds(limits_.header_seconds);
    start_handshake();
  }

  void close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    forget_request();
    close_socket();
    shared_.connections.erase(shared_from_this());
    shared_.num_connections = shared_.connections.size();
  }

  /// The server stops: what is on its way out may go, the rest ends.
  void stop() {
    if (state_ == State::lingering || unsent_bytes_ == 0) return close();
    forget_request();
    state_ = State::closing;
  }

  void check(Clock::time_point now) {
    if (writing_ && write_watch_.is_late(now)) return close();
    switch (state_) {
      case State::handshake:
      case State::lingering:
        if (now > deadline_) close();
        return;
      case State::head:
        if (now <= deadline_ || writing_) return;  // an answer before it has its own watch
        if (!reader_.is_started()) return close();
        fail(error_response(408, "the header did not come in time"));
        return advance();
      case State::body:
      case State::discard:
        if (!body_watch_.is_late(now)) return;
        fail(error_response(408, "the body comes too slowly"));
        return advance();
      case State::handling:  // a handler may take its time
      case State::closing:   // the writes have their watch
      case State::closed:
        return;
    }
  }

  /// This process did not look for `time`; its peers are not to blame.
  void extend_deadlines(Clock::duration time) {
    deadline_ += time;
    body_watch_.extend(time);
    write_watch_.extend(time);
  }

  /// The responder is done.
  void on_answer() {
    if (state_ != State::handling) return;
    finish_exchange(dropped());
    advance();
  }

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

  void on_handshake(error_code error) {
    if (state_ == State::closed) return;
    if (error) return close();
    state_ = State::head;
    if (refused_) fail(error_response(503, "too many connections"));
    advance();
  }

  void on_read(error_code error, std::size_t size) {
    reading_ = false;
    if (state_ == State::closed) return;
    if (state_ == State::lingering) {
      if (shut_down_) drain();
      return;
    }
    if (error) {
      const bool orderly = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
      if (!orderly) return close();
      ended_ = true;
      if (exchange_) exchange_->cancel();
    }
    end_ += size;
    if (state_ == State::closing) begin_ = end_ = 0;  // nobody will read it
    advance();
  }

  void on_write(error_code error, std::size_t size) {
    if (state_ == State::closed) return;
    if (error) return close();
    write_watch_.count(size);
    unsent_bytes_ -= size;
    written_ += size;
    if (written_ < outgoing_.back().size()) return continue_write();
    outgoing_.pop_back();
    written_ = 0;
    if (!outgoing_.empty()) return continue_write();
    writing_ = false;
    is_idle_new_ = true;
    advance();
  }

  void on_shutdown() {
    if (state_ != State::lingering) return;
    shut_down_ = true;
    if (!reading_) drain();
  }

  void on_drain(error_code error) {
    reading_ = false;
    if (state_ == State::closed) return;
    if (error) return close();
    drain();
  }

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

  bool can_parse() const {
    const bool wants = state_ == State::head || state_ == State::body || state_ == State::discard;
    return wants && unsent_bytes_ < kMaxUnsentBytes;
  }

  // Reads what has come, sends what is due, and asks for more.
  void advance() {
    while (can_parse()) {
      if (!step()) break;
    }
    if (state_ == State::closed) return;
    if (can_parse() && ended_) end_of_input();
    flush();
    if (state_ == State::closed) return;
    if (state_ == State::closing && !writing_) return linger();
    read_more();
  }

  // One event of the reader. False when it needs more bytes.
  bool step() {
    std::string_view input(buffer_.data() + begin_, end_ - begin_);
    try {
      const HttpEvent event = reader_.next(input);
      begin_ = end_ - input.size();
      switch (event) {
        case HttpEvent::need_more:
          if (begin_ == 0 && end_ == buffer_.size()) {
            throw HttpProtocolError(400, "a chunk's header is too large");
          }
          time_head();
          return false;
        case HttpEvent::head:
          on_head();
          return true;
        case HttpEvent::body:
          on_body(reader_.body());
          return true;
        case HttpEvent::complete:
          on_complete();
          return true;
      }
    } catch (const HttpProtocolError& error) {
      fail(error_response(error.status(), error.what()));
    }
    return false;
  }

  // Between requests the idle time runs; from the first byte the header's.
  void time_head() {
    if (state_ != State::head) return;
    const bool started = reader_.is_started() || begin_ != end_;
    if (started && !head_started_) deadline_ = Clock::now() + seconds(limits_.header_seconds);
    if (!started && is_idle_new_) deadline_ = Clock::now() + seconds(limits_.idle_seconds);
    head_started_ = started;
    is_idle_new_ = false;
  }

  void on_head() {
    HttpHead& head = reader_.head();
    head.peer = peer_;
    is_head_request_ = head.method == "HEAD";
    const std::string* expect = head.headers.find("Expect");
    const bool expects = expect != nullptr && head.minor_version >= 1;
    if (expects && !boost::beast::iequals(*expect, "100-continue")) {
      return refuse(error_response(417, "an expectation other than 100-continue", "Expect"));
    }
    HttpDecision decision;
    try {
      decision = shared_.handler.on_head(head);
      check_decision(decision);
    } catch (...) {
      decision = HttpReject{answer_to_exception(shared_)};
    }
    request_ = {};
    if (auto* rejected = std::get_if<HttpReject>(&decision)) {
      return refuse(std::move(rejected->response));
    }
    if (auto* streamed = std::get_if<HttpStreamBody>(&decision)) {
      request_.sink = std::move(streamed->sink);
      max_body_bytes_ = streamed->max_body_bytes;
    } else {
      const auto asked = std::get<HttpAcceptBody>(decision).max_body_bytes;
      max_body_bytes_ = asked.value_or(limits_.max_body_bytes);
    }
    if (head.content_length && *head.content_length > max_body_bytes_) return refuse(too_large());
    request_.head = std::move(head);
    begin_body(State::body);
    if (expects && request_.head.has_body() && begin_ == end_) {
      send("HTTP/1.1 100 Continue\r\n\r\n");
    }
  }

  void begin_body(State state) {
    state_ = state;
    body_watch_.start(Clock::now());
  }

  HttpResponse too_large() const {
    return error_response(413,
                          "the body is larger than " + std::to_string(max_body_bytes_) + " bytes");
  }

  // Answers a request whose body nobody wants. A small one is read and thrown away; for a large
  // one, or one whose sender waits for leave to send it, the connection ends.
  void refuse(HttpResponse response) {
    const HttpHead& head = reader_.head();
    const bool is_small = head.content_length && *head.content_length <= kMaxDiscardBytes;
    const bool may_send_none = head.has_body() && head.headers.find("Expect") != nullptr;
    abort_sink();
    if (!is_small || may_send_none || !reader_.keep_alive()) return fail(std::move(response));
    send_response(std::move(response), /*keep=*/true);
    begin_body(State::discard);
  }

  void on_body(std::string_view bytes) {
    body_watch_.count(bytes.size());
    if (state_ == State::discard) return;
    request_.body_bytes += bytes.size();
    if (request_.body_bytes > max_body_bytes_) return fail(too_large());
    try {
      if (request_.sink) return request_.sink->write(bytes);
      if (shared_.buffered_bytes + bytes.size() > limits_.max_buffered_bytes) {
        throw HttpRefusal(503, "too many bodies are being received");
      }
      shared_.buffered_bytes += bytes.size();
      buffered_bytes_ += bytes.size();
      request_.body += bytes;
    } catch (...) {
      fail(answer_to_exception(shared_));
    }
  }

  void on_complete() {
    if (state_ == State::discard) return next_request();
    state_ = State::handling;
    release_budget();
    exchange_ = std::make_shared<HttpExchange>(shared_.mailbox, weak_from_this());
    if (ended_) exchange_->cancel();
    std::optional<HttpResponse> failure;
    try {
      shared_.handler.on_request(std::move(request_), HttpResponder(exchange_));
    } catch (...) {
      failure = answer_to_exception(shared_);
    }
    if (exchange_->end_call()) finish_exchange(failure ? std::move(*failure) : dropped());
  }

  static HttpResponse dropped() {
    return error_response(500, "the request was dropped without an answer");
  }

  void finish_exchange(HttpResponse otherwise) {
    auto response = exchange_->take();
    exchange_.reset();
    const bool keep = reader_.keep_alive();
    send_response(response ? std::move(*response) : std::move(otherwise), keep);
    if (keep) next_request();
  }

  void next_request() {
    reader_.reset();
    state_ = State::head;
    head_started_ = false;
    is_idle_new_ = true;
    is_head_request_ = false;
  }

  // The peer sends no more and everything it sent has been read.
  void end_of_input() {
    if (reader_.is_started() || begin_ != end_) {
      return fail(error_response(400, "the request ended early"));
    }
    state_ = State::closing;
  }

  // The last answer of this connection.
  void fail(HttpResponse response) {
    forget_request();
    send_response(std::move(response), /*keep=*/false);
  }

  void end_after_exception() noexcept {
    try {
      answer_to_exception(shared_);
      close();
    } catch (...) {  // out of memory for a text; the socket goes with the connection
      shared_.connections.erase(shared_from_this());
    }
  }

  void forget_request() {
    abort_sink();
    release_budget();
    request_ = {};
    if (exchange_) exchange_->cancel();
    exchange_.reset();
  }

  void abort_sink() {
    if (request_.sink) std::exchange(request_.sink, nullptr)->abort();
  }

  void release_budget() { shared_.buffered_bytes -= std::exchange(buffered_bytes_, 0); }

  void send_response(HttpResponse response, bool keep) {
    const bool has_no_body = response.status == 204 || response.status == 304;
    if (has_no_body) response.body.clear();
    std::string text = "HTTP/1.1 " + std::to_string(response.status) + ' ';
    text += http_reason(response.status);
    text += "\r\n";
    for (const auto& [name, value] : response.headers) {
      text.append(name).append(": ").append(value).append("\r\n");
    }
    text += shared_.date;
    if (!has_no_body) text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
    text += keep ? "\r\n" : "Connection: close\r\n\r\n";
    send(std::move(text));
    if (!is_head_request_ && !response.body.empty()) send(std::move(response.body));
    if (!keep) state_ = State::closing;
  }

  void send(std::string text) {
    unsent_bytes_ += text.size();
    if (pending_.empty() || pending_.back().size() + text.size() > kJoinBytes) {
      pending_.push_back(std::move(text));
    } else {
      pending_.back() += text;
    }
  }

  void flush() {
    if (writing_ || pending_.empty()) return;
    outgoing_.swap(pending_);
    std::reverse(outgoing_.begin(), outgoing_.end());  // taken from the back
    writing_ = true;
    write_watch_.start(Clock::now());
    continue_write();
  }

  void continue_write() {
    const std::string& text = outgoing_.back();
    start_write(text.data() + written_, text.size() - written_);
  }

  void read_more() {
    if (reading_ || ended_) return;
    if (begin_ > 0) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
    }
    if (end_ == buffer_.size()) return;  // requests ahead of their time wait in the socket
    reading_ = true;
    start_read(buffer_.data() + end_, buffer_.size() - end_);
  }

  // A socket closed over unread bytes resets the connection, and the peer may lose the answer.
  void linger() {
    if (ended_) return close();
    state_ = State::lingering;
    deadline_ = Clock::now() + seconds(limits_.linger_seconds);
    start_shutdown();
  }

  void drain() {
    reading_ = true;
    start_drain(buffer_.data(), buffer_.size());
  }

  Shared& shared_;
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

template <class Stream>
class SocketConnection final : public Connection {
 public:
  static constexpr bool kTls = !std::is_same_v<Stream, Socket>;

  template <class... TlsArgument>
  SocketConnection(Shared& shared, std::string peer, bool refused, Socket socket,
                   TlsArgument&... tls)
      : Connection(shared, std::move(peer), refused), stream_(std::move(socket), tls...) {}

 private:
  void start_handshake() override {
    if constexpr (kTls) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [this, self = shared_from_this()](error_code error) {
                                guard([&] { on_handshake(error); });
                              });
    } else {
      on_handshake({});
    }
  }
  void start_read(char* data, std::size_t size) override {
    stream_.async_read_some(asio::buffer(data, size),
                            [this, self = shared_from_this()](error_code error, std::size_t n) {
                              guard([&] { on_read(error, n); });
                            });
  }
  void start_write(const char* data, std::size_t size) override {
    stream_.async_write_some(asio::buffer(data, size),
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
    socket().async_read_some(asio::buffer(data, size),
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
    socket().shutdown(Socket::shutdown_send, ignored);
    on_shutdown();
  }
  Socket& socket() {
    if constexpr (kTls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  Stream stream_;
};

[[noreturn]] void refuse_config(const std::string& field, const std::string& expected,
                                const std::string& actual) {
  throw InputError(
      {.source = "HTTP server", .field = field, .expected = expected, .actual = actual});
}

asio::ip::address checked_address(const HttpServerConfig& config) {
  error_code error;
  const std::string text = config.address == "localhost" ? "127.0.0.1" : config.address;
  const auto address = asio::ip::make_address(text, error);
  if (error) refuse_config("address", "an IP address or localhost", "\"" + config.address + "\"");
  if (!address.is_loopback() && !config.tls) {
    refuse_config("address", "a loopback address (127.0.0.1, ::1), or a TLS certificate and key",
                  config.address + " without TLS");
  }
  if (!address.is_loopback() && !config.authenticated) {
    refuse_config("address", "a loopback address (127.0.0.1, ::1), or tokens",
                  config.address + " without tokens");
  }
  return address;
}

// A peer whose machine vanished is noticed within about a minute also while it is owed an answer.
void configure(Socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const auto set = [&](int option, int value) {
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
  };
  set(TCP_KEEPIDLE, 30);
  set(TCP_KEEPINTVL, 10);
  set(TCP_KEEPCNT, 3);
}

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" +
         std::to_string(endpoint.port());
}

}  // namespace

void HttpExchange::wake(std::unique_lock<std::mutex> lock) {
  if (in_call_) return;  // the caller of the handler looks when it returns
  lock.unlock();
  mailbox_->post([weak = connection_] {
    if (const auto connection = weak.lock()) {
      connection->guard([&] { connection->on_answer(); });
    }
  });
}

class HttpServer::Impl {
 public:
  Impl(HttpServerConfig config, HttpHandler& handler)
      : config_(std::move(config)),
        shared_{.config = config_,
                .handler = handler,
                .mailbox = std::make_shared<Mailbox>(context_),
                .connections = {},
                .num_connections = {},
                .buffered_bytes = 0,
                .date = date_field(std::time(nullptr)),
                .stopping = false} {
    const tcp::endpoint endpoint(checked_address(config_), config_.port);
    if (config_.tls) tls_.emplace(make_tls_server_context(*config_.tls).release());
    listen(endpoint);
    accept();
    thread_ = std::thread([this] { run(); });
  }

  std::uint16_t port() const { return port_; }
  std::size_t num_connections() const { return shared_.num_connections; }

  void stop() {
    if (std::this_thread::get_id() == thread_id_.load()) {
      throw std::invalid_argument("HttpServer: stopped from its own thread");
    }
    const std::lock_guard lock(stop_mutex_);
    if (!thread_.joinable()) return;
    shared_.mailbox->post([this] { begin_stop(); });
    thread_.join();
    shared_.mailbox->close();
    for (const auto& connection : connections()) connection->close();
  }

 private:
  using TlsStream = asio::ssl::stream<Socket>;

  void listen(const tcp::endpoint& endpoint) {
    try {
      acceptor_.open(endpoint.protocol());
      acceptor_.set_option(Acceptor::reuse_address(true));
      acceptor_.bind(endpoint);
      acceptor_.listen();
      port_ = acceptor_.local_endpoint().port();
    } catch (const boost::system::system_error& error) {
      refuse_config("address", "one that can be listened on",
                    text_of(endpoint) + " (" + error.code().message() + ")");
    }
  }

  void run() {
    thread_id_ = std::this_thread::get_id();
    for (;;) {
      try {
        context_.run();
        return;
      } catch (const std::exception& error) {
        shared_.report(error.what());
      } catch (...) {
        shared_.report("an exception of no known type");
      }
    }
  }

  void accept() {
    acceptor_.async_accept([this](error_code error, Socket socket) {
      if (shared_.stopping) return;
      if (!error) {
        admit(std::move(socket));
        return accept();
      }
      // Out of descriptors, mostly: there may be some later.
      shared_.report("accept: " + error.message());
      retry_.expires_after(kTick);
      retry_.async_wait([this](error_code) {
        if (!shared_.stopping) accept();
      });
    });
  }

  void admit(Socket socket) noexcept {
    try {
      error_code error;
      const tcp::endpoint peer = socket.remote_endpoint(error);
      const std::size_t num_open = shared_.connections.size();
      if (error || num_open >= config_.limits.max_connections + kMaxRefusals) return;
      configure(socket);
      const bool refused = num_open >= config_.limits.max_connections;
      std::shared_ptr<Connection> connection;
      if (tls_) {
        connection = std::make_shared<SocketConnection<TlsStream>>(shared_, text_of(peer), refused,
                                                                   std::move(socket), *tls_);
      } else {
        connection = std::make_shared<SocketConnection<Socket>>(shared_, text_of(peer), refused,
                                                                std::move(socket));
      }
      shared_.connections.insert(connection);
      shared_.num_connections = shared_.connections.size();
      connection->guard([&] { connection->start(); });
      if (ticking_) return;
      shared_.date = date_field(std::time(nullptr));
      tick_after(kTick);
    } catch (const std::exception& error) {
      shared_.report(error.what());
    }
  }

  // One timer looks after all deadlines; it rests while nobody is connected.
  void tick_after(Clock::duration time) {
    ticking_ = true;
    timer_.expires_after(time);
    timer_.async_wait([this](error_code error) {
      if (!error) tick();
    });
  }

  void tick() {
    const auto now = Clock::now();
    const auto late = now - timer_.expiry();
    shared_.date = date_field(std::time(nullptr));
    for (const auto& connection : connections()) {
      if (late > kLate) connection->extend_deadlines(late);
      connection->guard([&] { connection->check(now); });
    }
    ticking_ = false;
    if (shared_.stopping) return finish_stop(now);
    if (!shared_.connections.empty()) tick_after(kTick);
  }

  void begin_stop() {
    shared_.stopping = true;
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    for (const auto& connection : connections()) connection->guard([&] { connection->stop(); });
    stop_deadline_ = Clock::now() + seconds(config_.drain_seconds);
    finish_stop(Clock::now());
  }

  void finish_stop(Clock::time_point now) {
    if (shared_.connections.empty() || now >= stop_deadline_) return context_.stop();
    tick_after(kTick / 10);
  }

  // A copy: a connection that is looked at may leave.
  std::vector<std::shared_ptr<Connection>> connections() const {
    return {shared_.connections.begin(), shared_.connections.end()};
  }

  const HttpServerConfig config_;
  asio::io_context context_{1};  // one thread runs it
  Shared shared_;
  std::optional<asio::ssl::context> tls_;
  Acceptor acceptor_{context_};
  Timer timer_{context_};
  Timer retry_{context_};
  bool ticking_ = false;
  Clock::time_point stop_deadline_{};
  std::uint16_t port_ = 0;
  std::atomic<std::thread::id> thread_id_{};
  std::mutex stop_mutex_;
  std::thread thread_;
};

HttpServer::HttpServer(HttpServerConfig config, HttpHandler& handler)
    : impl_(std::make_unique<Impl>(std::move(config), handler)) {}

HttpServer::~HttpServer() {
  impl_->stop();
}

std::uint16_t HttpServer::port() const {
  return impl_->port();
}

std::size_t HttpServer::num_connections() const {
  return impl_->num_connections();
}

void HttpServer::stop() {
  impl_->stop();
}

}  // namespace zeroth
