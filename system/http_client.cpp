#include "system/http_client.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "system/error.h"
#include "system/file.h"
#include "system/http_reader.h"
#include "system/rate_watch.h"
#include "system/tls.h"

namespace zeroth {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Kind = HttpError::Kind;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kWriteBytes = std::size_t{256} << 10;
constexpr std::uint64_t kAskForLeaveBytes = std::uint64_t{1} << 20;
constexpr auto kLeaveTime = std::chrono::seconds(1);  // then the body goes without leave
constexpr auto kLastWords =
    std::chrono::seconds(2);  // for the response of a peer that reads no more
constexpr auto kGlance = std::chrono::milliseconds(50);  // between looks for a cancel in a look-up
constexpr int kMaxInterim = 16;                          // 1xx responses before the real one

Clock::duration duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

std::string seconds_text(double seconds) {
  std::string text = std::to_string(seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

// -- The URL

struct Url {
  bool tls = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string authority;  // the Host field
  std::string text;       // scheme and authority
};

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

Url parse_url(std::string_view text) {
  const auto fail = [&](const std::string& expected) {
    throw InputError({.source = "URL",
                      .field = "",
                      .expected = expected,
                      .actual = "\"" + std::string(text) + "\""});
  };
  Url url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    fail("http://host:port or https://host:port");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  error_code error;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) fail("a ] after the IPv6 address");
    url.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    asio::ip::make_address_v6(url.host, error);
    if (error || url.host.find('%') != std::string::npos) fail("an IPv6 address in the brackets");
    url.authority = "[" + url.host + "]";
  } else {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    url.host = rest.substr(0, end);
    rest.remove_prefix(end);
    if (url.host.empty() || !std::all_of(url.host.begin(), url.host.end(), is_host_character)) {
      fail("a host name or an IP address, and no path, after ://");
    }
    url.authority = url.host;
  }
  url.port = url.tls ? 443 : 80;
  if (!rest.empty()) {
    const char* begin = rest.data() + 1;
    const char* end = rest.data() + rest.size();
    const auto [stop, status] = std::from_chars(begin, end, url.port);
    if (rest.front() != ':' || status != std::errc() || stop != end || url.port == 0) {
      fail("a port from 1 to 65535, and no path, after the host");
    }
    url.authority += ":" + std::to_string(url.port);
  }
  url.text = (url.tls ? "https://" : "http://") + url.authority;
  return url;
}

bool is_loopback(const std::string& host) {
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  return host == "localhost" || (!error && address.is_loopback());
}

// -- Names to addresses

struct Lookup {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  int error = 0;  // of getaddrinfo
  std::vector<tcp::endpoint> endpoints;
};

void look_up(Lookup& lookup, const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  std::vector<tcp::endpoint> endpoints;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
    endpoint.resize(entry->ai_addrlen);
    endpoints.emplace_back(endpoint.address(), port);
  }
  if (found != nullptr) ::freeaddrinfo(found);
  const std::lock_guard lock(lookup.mutex);
  lookup.done = true;
  lookup.error = error;
  lookup.endpoints = std::move(endpoints);
  lookup.changed.notify_all();
}

// -- A connection, with TLS or without

class Stream {
 public:
  using Done = std::function<void(error_code, std::size_t)>;

  virtual ~Stream() = default;
  virtual tcp::socket& socket() = 0;
  virtual void handshake(Done done) = 0;
  virtual void read_some(asio::mutable_buffer buffer, Done done) = 0;
  virtual void write_some(asio::const_buffer buffer, Done done) = 0;
  virtual std::string certificate_error() = 0;
};

class PlainStream final : public Stream {
 public:
  explicit PlainStream(asio::io_context& context) : socket_(context) {}
  tcp::socket& socket() override { return socket_; }
  void handshake(Done done) override { done({}, 0); }
  void read_some(asio::mutable_buffer buffer, Done done) override {
    socket_.async_read_some(buffer, std::move(done));
  }
  void write_some(asio::const_buffer buffer, Done done) override {
    socket_.async_write_some(buffer, std::move(done));
  }
  std::string certificate_error() override { return ""; }

 private:
  tcp::socket socket_;
};

class TlsStream final : public Stream {
 public:
  TlsStream(asio::io_context& context, asio::ssl::context& tls, const std::string& host)
      : stream_(context, tls) {
    expect_tls_host(stream_.native_handle(), host);
  }
  tcp::socket& socket() override { return stream_.next_layer(); }
  void handshake(Done done) override {
    stream_.async_handshake(asio::ssl::stream_base::client,
                            [done = std::move(done)](error_code error) { done(error, 0); });
  }
  void read_some(asio::mutable_buffer buffer, Done done) override {
    stream_.async_read_some(buffer, std::move(done));
  }
  void write_some(asio::const_buffer buffer, Done done) override {
    stream_.async_write_some(buffer, std::move(done));
  }
  std::string certificate_error() override { return tls_verify_error(stream_.native_handle()); }

 private:
  asio::ssl::stream<tcp::socket> stream_;
};

// -- The body of a request, in pieces

class Body {
 public:
  explicit Body(const HttpClientRequest& request) : memory_(request.body) {
    size_ = memory_.size();
    if (!request.body_file) return;
    if (!memory_.empty()) throw std::invalid_argument("HttpClient: both body and body_file");
    path_ = request.body_file->string();
    file_ = FileDescriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!file_.is_open() || ::fstat(file_.get(), &status) != 0) fail(std::strerror(errno));
    if (!S_ISREG(status.st_mode)) fail("not a regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  std::uint64_t size() const { return size_; }
  bool is_sent() const { return sent_ == size_; }

  /// The next piece, valid until the next call.
  std::string_view next() {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(kWriteBytes, size_ - sent_));
    if (!file_.is_open()) return memory_.substr(static_cast<std::size_t>(sent_), wanted);
    block_.resize(wanted);
    ssize_t got = -1;
    do {
      got = ::pread(file_.get(), block_.data(), wanted, static_cast<off_t>(sent_));
    } while (got < 0 && errno == EINTR);
    if (got <= 0) fail(got == 0 ? "one that became shorter" : std::strerror(errno));
    return {block_.data(), static_cast<std::size_t>(got)};
  }
  void count(std::size_t bytes) { sent_ += bytes; }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw InputError(
        {.source = path_, .field = "", .expected = "a readable file", .actual = reason});
  }

  std::string_view memory_;
  std::string path_;
  FileDescriptor file_;
  std::vector<char> block_;
  std::uint64_t size_ = 0;
  std::uint64_t sent_ = 0;
};

/// Thrown inside: a connection that was kept is found closed before a byte of the response.
struct StaleConnection {};

struct Failure {
  Kind kind;
  std::string reason;
};

/// One request and its response on a connection. Writing and reading run side by side, because a
/// server may refuse a body that is still on its way.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(std::shared_ptr<Stream> stream, std::string head, Body body,
           const HttpClientConfig& config, double response_seconds, bool is_head_request,
           bool asks_for_leave)
      : stream_(std::move(stream)),
        head_(std::move(head)),
        body_(std::move(body)),
        config_(config),
        response_seconds_(response_seconds),
        is_head_request_(is_head_request),
        leave_(asks_for_leave ? Leave::asked : Leave::not_needed),
        reader_(config.max_header_bytes),
        buffer_(std::max(kReadBytes, config.max_header_bytes + 4096)),
        send_watch_(config.stall_seconds, config.min_bytes_per_second),
        receive_watch_(config.stall_seconds, config.min_bytes_per_second) {
    reader_.reset(is_head_request_);
  }

  void start() {
    send_watch_.start(Clock::now());
    write();
    read();
  }

  bool is_complete() const { return complete_; }
  bool is_reusable() const { return reusable_; }
  bool got_nothing() const { return received_ == 0; }
  const std::optional<Failure>& failure() const { return failure_; }
  HttpResponse take_response() { return std::move(reader_.head()); }

  Clock::time_point next_deadline() const {
    auto next = Clock::time_point::max();
    if (leave_ == Leave::awaited) next = leave_deadline_;
    if (writing_) next = std::min(next, send_watch_.end());
    if (receiving_) next = std::min(next, receive_watch_.end());
    if (is_sent_ && !receiving_) next = std::min(next, response_deadline_);
    return next;
  }

  void on_deadline(Clock::time_point now) {
    if (leave_ == Leave::awaited && now >= leave_deadline_) give_leave();
    if (writing_ && send_watch_.is_late(now)) {
      fail(Kind::timeout, "the request is taken too slowly");
    } else if (receiving_ && receive_watch_.is_late(now)) {
      fail(Kind::timeout, "the response comes too slowly");
    } else if (is_sent_ && !receiving_ && now >= response_deadline_) {
      fail(Kind::timeout, "no response within " + seconds_text(response_seconds_));
    }
  }

 private:
  enum class Leave { not_needed, asked, awaited, given };

  void write() {
    std::string_view piece;
    if (head_sent_ < head_.size()) {
      piece = std::string_view(head_).substr(head_sent_);
    } else if (leave_ == Leave::asked) {
      leave_ = Leave::awaited;
      leave_deadline_ = Clock::now() + kLeaveTime;
      return;
    } else if (!body_.is_sent()) {
      piece = body_.next();
    } else {
      return end_sending(duration(response_seconds_));
    }
    writing_ = true;
    stream_->write_some(asio::buffer(piece.data(), piece.size()),
                        [self = shared_from_this()](error_code error, std::size_t size) {
                          self->guard([&] { self->on_write(error, size); });
                        });
  }

  void on_write(error_code error, std::size_t size) {
    writing_ = false;
    if (complete_ || failure_ || answered_early_) return;
    if (error) {  // the reason may be in a response that was sent before the peer stopped reading
      write_error_ = error.message();
      return end_sending(kLastWords);
    }
    send_watch_.count(size);
    if (head_sent_ < head_.size()) {
      head_sent_ += size;
    } else {
      body_.count(size);
    }
    write();
  }

  void end_sending(Clock::duration time) {
    is_sent_ = true;
    response_deadline_ = Clock::now() + time;
  }

  void give_leave() {
    const bool waited = leave_ == Leave::awaited;
    if (leave_ != Leave::not_needed) leave_ = Leave::given;
    if (!waited) return;
    send_watch_.start(Clock::now());
    write();
  }

  void read() {
    if (begin_ > 0) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
    }
    if (end_ == buffer_.size()) return fail(Kind::protocol, "a chunk's header is too large");
    stream_->read_some(asio::buffer(buffer_.data() + end_, buffer_.size() - end_),
                       [self = shared_from_this()](error_code error, std::size_t size) {
                         self->guard([&] { self->on_read(error, size); });
                       });
  }

  void on_read(error_code error, std::size_t size) {
    if (failure_) return;
    if (error) return on_end(error);
    if (!receiving_) receive_watch_.start(Clock::now());
    receiving_ = true;
    receive_watch_.count(size);
    received_ += size;
    end_ += size;
    while (!complete_ && !failure_) {
      std::string_view input(buffer_.data() + begin_, end_ - begin_);
      const HttpEvent event = reader_.next(input);
      begin_ = end_ - input.size();
      if (event == HttpEvent::need_more) break;
      take(event);
    }
    if (!complete_ && !failure_) read();
  }

  void take(HttpEvent event) {
    HttpResponse& response = reader_.head();
    const bool is_interim = response.status < 200;
    if (event == HttpEvent::head) {
      const auto length = reader_.content_length();
      if (response.status == 101) fail(Kind::protocol, "switches to a protocol nobody asked for");
      if (!is_interim && !is_head_request_ && length && *length > config_.max_body_bytes) {
        fail_too_large();
      }
      if (!is_interim && !is_sent_) {
        answered_early_ = true;
        leave_ = Leave::not_needed;
      }
    } else if (event == HttpEvent::body) {
      if (response.body.size() + reader_.body().size() > config_.max_body_bytes) {
        return fail_too_large();
      }
      response.body += reader_.body();
    } else if (is_interim) {
      if (++num_interim_ > kMaxInterim) fail(Kind::protocol, "too many interim responses");
      const bool may_send = response.status == 100;
      receiving_ = false;
      reader_.reset(is_head_request_);
      if (may_send) give_leave();
    } else {
      complete_ = true;
      reusable_ = reader_.keep_alive() && is_sent_ && write_error_.empty() && begin_ == end_;
    }
  }

  void on_end(error_code error) {
    if (error == asio::error::eof && reader_.end_of_stream()) {
      complete_ = true;
      return;
    }
    std::string reason = error == asio::error::eof || error == asio::ssl::error::stream_truncated
                             ? "the peer closed the connection before the response ended"
                             : error.message();
    if (!write_error_.empty()) reason += " (sending failed: " + write_error_ + ")";
    fail(error.category() == asio::error::get_ssl_category() ? Kind::tls : Kind::closed, reason);
  }

  void fail_too_large() {
    fail(Kind::too_large,
         "the response's body is larger than " + std::to_string(config_.max_body_bytes) + " bytes");
  }

  void fail(Kind kind, const std::string& reason) {
    if (!failure_) failure_ = Failure{kind, reason};
  }

  // Exceptions leave through the caller's run of the context, but for those with a kind.
  template <class Step>
  void guard(Step step) {
    try {
      step();
    } catch (const HttpProtocolError& error) {
      fail(error.status() == 431 ? Kind::too_large : Kind::protocol, error.what());
    }
  }

  std::shared_ptr<Stream> stream_;
  std::string head_;
  std::size_t head_sent_ = 0;
  Body body_;
  const HttpClientConfig& config_;
  double response_seconds_;
  bool is_head_request_;
  Leave leave_;
  Clock::time_point leave_deadline_{};
  bool writing_ = false;
  bool is_sent_ = false;  // or given up
  std::string write_error_;

  HttpResponseReader reader_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // what of the buffer has come and is not read yet
  std::size_t end_ = 0;
  std::uint64_t received_ = 0;
  bool receiving_ = false;  // a response has begun
  bool answered_early_ = false;
  int num_interim_ = 0;
  Clock::time_point response_deadline_{};
  RateWatch send_watch_;
  RateWatch receive_watch_;

  bool complete_ = false;
  bool reusable_ = false;
  std::optional<Failure> failure_;
};

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
      : url_(parse_url(url)), config_(std::move(config)) {
    if (!config_.bearer_token.empty()) {
      check_http_headers({{"Authorization", config_.bearer_token}});
      if (!url_.tls && !is_loopback(url_.host)) {
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
    Body body(request);
    const bool asks = asks_for_leave(body.size());
    if (body.size() > 0 || request.method == "POST" || request.method == "PUT") {
      head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    head += asks ? "Expect: 100-continue\r\n\r\n" : "\r\n";
    const auto exchange =
        std::make_shared<Exchange>(stream_, std::move(head), std::move(body), config_,
                                   request.response_seconds.value_or(config_.response_seconds),
                                   request.method == "HEAD", asks);
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
    const auto deadline = Clock::now() + duration(config_.connect_seconds);
    const auto endpoints = find_endpoints(deadline);
    if (url_.tls) {
      stream_ = std::make_shared<TlsStream>(context_, *tls_, url_.host);
    } else {
      stream_ = std::make_shared<PlainStream>(context_);
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
    const auto lookup = std::make_shared<Lookup>();
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

  const Url url_;
  const HttpClientConfig config_;
  std::optional<asio::ssl::context> tls_;
  asio::io_context context_{1};
  std::mutex mutex_;                // held by the send() that runs
  std::shared_ptr<Stream> stream_;  // the kept connection
  std::string target_;              // of the request that runs, for errors
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
