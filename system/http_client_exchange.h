// One request of the HTTP client and its response, with their deadlines, over any stream of bytes.
// Internal to the client.
#pragma once

#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "system/http_client.h"
#include "system/http_reader.h"
#include "system/http_request_body.h"
#include "system/rate_watch.h"

namespace zeroth {

/// "2.5 s".
std::string seconds_text(double seconds);

class HttpByteStream {
 public:
  using Done = std::function<void(boost::system::error_code, std::size_t)>;

  virtual ~HttpByteStream() = default;
  virtual void read_some(char* data, std::size_t size, Done done) = 0;
  virtual void write_some(const char* data, std::size_t size, Done done) = 0;
};

struct HttpClientFailure {
  HttpError::Kind kind;
  std::string reason;
};

/// Writing and reading run side by side, because a server may refuse a body that is still on its
/// way.
class HttpClientExchange : public std::enable_shared_from_this<HttpClientExchange> {
 public:
  using Clock = std::chrono::steady_clock;

  HttpClientExchange(std::shared_ptr<HttpByteStream> stream, std::string head, HttpRequestBody body,
                     const HttpClientConfig& config, double response_seconds, bool is_head_request,
                     bool asks_for_leave);

  void start();

  bool is_complete() const { return complete_; }
  bool is_reusable() const { return reusable_; }
  bool got_nothing() const { return received_ == 0; }
  const std::optional<HttpClientFailure>& failure() const { return failure_; }
  HttpResponse take_response() { return std::move(reader_.head()); }

  Clock::time_point next_deadline() const;
  void on_deadline(Clock::time_point now);

 private:
  using error_code = boost::system::error_code;
  using Kind = HttpError::Kind;
  enum class Leave { not_needed, asked, awaited, given };

  void write();
  void on_write(error_code error, std::size_t size);
  void end_sending(Clock::duration time);
  void give_leave();
  void read();
  void on_read(error_code error, std::size_t size);
  void take(HttpEvent event);
  void on_end(error_code error);
  void fail_too_large();
  void fail(Kind kind, const std::string& reason);

  // Exceptions leave through the caller's run of the context, but for those with a kind.
  template <class Step>
  void guard(Step step) {
    try {
      step();
    } catch (const HttpProtocolError& error) {
      fail(error.status() == 431 ? Kind::too_large : Kind::protocol, error.what());
    }
  }

  std::shared_ptr<HttpByteStream> stream_;
  std::string head_;
  std::size_t head_sent_ = 0;
  HttpRequestBody body_;
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
  std::optional<HttpClientFailure> failure_;
};

}  // namespace zeroth
