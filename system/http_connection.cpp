#include "system/http_connection.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <utility>

namespace zeroth {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxUnsentBytes = std::size_t{256} << 10;  // then no request is read
constexpr std::size_t kJoinBytes = std::size_t{64} << 10;  // answers are sent together up to it

}  // namespace

HttpConnection::HttpConnection(HttpServerShared& shared, std::string peer, bool refused)
    : shared_(shared),
      limits_(shared.config.limits),
      peer_(std::move(peer)),
      refused_(refused),
      reader_(limits_.max_header_bytes),
      buffer_(std::max(kReadBytes, limits_.max_header_bytes + 4096)),
      body_watch_(limits_.body_stall_seconds, limits_.min_bytes_per_second),
      write_watch_(limits_.write_stall_seconds, limits_.min_bytes_per_second) {}

// -- Its life

void HttpConnection::start() {
  deadline_ = Clock::now() + steady_duration(limits_.header_seconds);
  start_handshake();
}

void HttpConnection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  forget_request();
  close_socket();
  shared_.connections.erase(shared_from_this());
  shared_.num_connections = shared_.connections.size();
}

void HttpConnection::stop() {
  if (state_ == State::lingering || unsent_bytes_ == 0) return close();
  forget_request();
  state_ = State::closing;
}

void HttpConnection::check(Clock::time_point now) {
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

void HttpConnection::extend_deadlines(Clock::duration time) {
  deadline_ += time;
  body_watch_.extend(time);
  write_watch_.extend(time);
}

void HttpConnection::on_answer() {
  if (state_ != State::handling) return;
  finish_exchange(dropped());
  advance();
}

void HttpConnection::on_handshake(error_code error) {
  if (state_ == State::closed) return;
  if (error) return close();
  state_ = State::head;
  if (refused_) fail(error_response(503, "too many connections"));
  advance();
}

void HttpConnection::on_read(error_code error, std::size_t size) {
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

void HttpConnection::on_write(error_code error, std::size_t size) {
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

void HttpConnection::on_shutdown() {
  if (state_ != State::lingering) return;
  shut_down_ = true;
  if (!reading_) drain();
}

void HttpConnection::on_drain(error_code error) {
  reading_ = false;
  if (state_ == State::closed) return;
  if (error) return close();
  drain();
}

bool HttpConnection::can_parse() const {
  const bool wants = state_ == State::head || state_ == State::body || state_ == State::discard;
  return wants && unsent_bytes_ < kMaxUnsentBytes;
}

// Reads what has come, sends what is due, and asks for more.
void HttpConnection::advance() {
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

// The peer sends no more and everything it sent has been read.
void HttpConnection::end_of_input() {
  if (reader_.is_started() || begin_ != end_) {
    return fail(error_response(400, "the request ended early"));
  }
  state_ = State::closing;
}

// Between requests the idle time runs; from the first byte the header's.
void HttpConnection::time_head() {
  if (state_ != State::head) return;
  const bool started = reader_.is_started() || begin_ != end_;
  if (started && !head_started_) deadline_ = Clock::now() + steady_duration(limits_.header_seconds);
  if (!started && is_idle_new_) deadline_ = Clock::now() + steady_duration(limits_.idle_seconds);
  head_started_ = started;
  is_idle_new_ = false;
}

void HttpConnection::send(std::string text) {
  unsent_bytes_ += text.size();
  if (pending_.empty() || pending_.back().size() + text.size() > kJoinBytes) {
    pending_.push_back(std::move(text));
  } else {
    pending_.back() += text;
  }
}

void HttpConnection::flush() {
  if (writing_ || pending_.empty()) return;
  outgoing_.swap(pending_);
  std::reverse(outgoing_.begin(), outgoing_.end());  // taken from the back
  writing_ = true;
  write_watch_.start(Clock::now());
  continue_write();
}

void HttpConnection::continue_write() {
  const std::string& text = outgoing_.back();
  start_write(text.data() + written_, text.size() - written_);
}

void HttpConnection::read_more() {
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
void HttpConnection::linger() {
  if (ended_) return close();
  state_ = State::lingering;
  deadline_ = Clock::now() + steady_duration(limits_.linger_seconds);
  start_shutdown();
}

void HttpConnection::drain() {
  reading_ = true;
  start_drain(buffer_.data(), buffer_.size());
}

}  // namespace zeroth
