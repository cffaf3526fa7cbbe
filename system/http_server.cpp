#include "system/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "system/error.h"
#include "system/http_socket_connection.h"

namespace zeroth {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Acceptor = asio::basic_socket_acceptor<tcp, HttpExecutor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, HttpExecutor>;

constexpr auto kTick = std::chrono::milliseconds(100);  // how late a deadline may be noticed
constexpr auto kLate = std::chrono::seconds(1);         // a tick later than this was held up by us
constexpr std::size_t kMaxRefusals = 64;  // connections over the limit that are told so at a time

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
void configure(HttpSocket& socket) {
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

class HttpServer::Impl {
 public:
  Impl(HttpServerConfig config, HttpHandler& handler)
      : config_(std::move(config)),
        shared_{.config = config_,
                .handler = handler,
                .mailbox = std::make_shared<HttpMailbox>(
                    [this](HttpMailbox::Task task) { asio::post(context_, std::move(task)); }),
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
    acceptor_.async_accept([this](error_code error, HttpSocket socket) {
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

  void admit(HttpSocket socket) noexcept {
    try {
      error_code error;
      const tcp::endpoint peer = socket.remote_endpoint(error);
      const std::size_t num_open = shared_.connections.size();
      if (error || num_open >= config_.limits.max_connections + kMaxRefusals) return;
      configure(socket);
      const bool refused = num_open >= config_.limits.max_connections;
      std::shared_ptr<HttpConnection> connection;
      if (tls_) {
        connection = std::make_shared<HttpSocketConnection<HttpTlsStream>>(
            shared_, text_of(peer), refused, std::move(socket), *tls_);
      } else {
        connection = std::make_shared<HttpSocketConnection<HttpSocket>>(shared_, text_of(peer),
                                                                        refused, std::move(socket));
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
    stop_deadline_ = Clock::now() + steady_duration(config_.drain_seconds);
    finish_stop(Clock::now());
  }

  void finish_stop(Clock::time_point now) {
    if (shared_.connections.empty() || now >= stop_deadline_) return context_.stop();
    tick_after(kTick / 10);
  }

  // A copy: a connection that is looked at may leave.
  std::vector<std::shared_ptr<HttpConnection>> connections() const {
    return {shared_.connections.begin(), shared_.connections.end()};
  }

  const HttpServerConfig config_;
  asio::io_context context_{1};  // one thread runs it
  HttpServerShared shared_;
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
