#include "system/http_client_exchange.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <string_view>
#include <utility>

namespace zeroth {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr auto kLeaveTime = std::chrono::seconds(1);  // then the body goes without leave
constexpr auto kLastWords =
    std::chrono::seconds(2);     // for the response of a peer that reads no more
constexpr int kMaxInterim = 16;  // 1xx responses before the real one

}  // namespace

std::string seconds_text(double seconds) {
  std::string text = std::to_string(seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

HttpClientExchange::HttpClientExchange(std::shared_ptr<HttpByteStream> stream, std::string head,
                                       HttpRequestBody body, const HttpClientConfig& config,
                                       double response_seconds, bool is_head_request,
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

void HttpClientExchange::start() {
  send_watch_.start(Clock::now());
  write();
  read();
}

HttpClientExchange::Clock::time_point HttpClientExchange::next_deadline() const {
  auto next = Clock::time_point::max();
  if (leave_ == Leave::awaited) next = leave_deadline_;
  if (writing_) next = std::min(next, send_watch_.end());
  if (receiving_) next = std::min(next, receive_watch_.end());
  if (is_sent_ && !receiving_) next = std::min(next, response_deadline_);
  return next;
}

void HttpClientExchange::on_deadline(Clock::time_point now) {
  if (leave_ == Leave::awaited && now >= leave_deadline_) give_leave();
  if (writing_ && send_watch_.is_late(now)) {
    fail(Kind::timeout, "the request is taken too slowly");
  } else if (receiving_ && receive_watch_.is_late(now)) {
    fail(Kind::timeout, "the response comes too slowly");
  } else if (is_sent_ && !receiving_ && now >= response_deadline_) {
    fail(Kind::timeout, "no response within " + seconds_text(response_seconds_));
  }
}

void HttpClientExchange::write() {
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
    return end_sending(steady_duration(response_seconds_));
  }
  writing_ = true;
  stream_->write_some(piece.data(), piece.size(),
                      [self = shared_from_this()](error_code error, std::size_t size) {
                        self->guard([&] { self->on_write(error, size); });
                      });
}

void HttpClientExchange::on_write(error_code error, std::size_t size) {
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

void HttpClientExchange::end_sending(Clock::duration time) {
  is_sent_ = true;
  response_deadline_ = Clock::now() + time;
}

void HttpClientExchange::give_leave() {
  const bool waited = leave_ == Leave::awaited;
  if (leave_ != Leave::not_needed) leave_ = Leave::given;
  if (!waited) return;
  send_watch_.start(Clock::now());
  write();
}

void HttpClientExchange::read() {
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) return fail(Kind::protocol, "a chunk's header is too large");
  stream_->read_some(buffer_.data() + end_, buffer_.size() - end_,
                     [self = shared_from_this()](error_code error, std::size_t size) {
                       self->guard([&] { self->on_read(error, size); });
                     });
}

void HttpClientExchange::on_read(error_code error, std::size_t size) {
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

void HttpClientExchange::take(HttpEvent event) {
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

void HttpClientExchange::on_end(error_code error) {
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

void HttpClientExchange::fail_too_large() {
  fail(Kind::too_large,
       "the response's body is larger than " + std::to_string(config_.max_body_bytes) + " bytes");
}

void HttpClientExchange::fail(Kind kind, const std::string& reason) {
  if (!failure_) failure_ = HttpClientFailure{kind, reason};
}

}  // namespace zeroth
