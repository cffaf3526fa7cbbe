// The requests of a connection, one after the other: header, body, handler, answer.
#include <boost/beast/core/string.hpp>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "system/error.h"
#include "system/http_connection.h"

namespace zeroth {
namespace {

constexpr std::uint64_t kMaxDiscardBytes = std::uint64_t{64} << 10;  // of a refused request

void check_decision(const HttpDecision& decision) {
  if (const auto* rejected = std::get_if<HttpReject>(&decision)) {
    check_http_response(rejected->response);
  } else if (const auto* streamed = std::get_if<HttpStreamBody>(&decision)) {
    if (!streamed->sink) throw std::invalid_argument("HttpStreamBody without a sink");
  }
}

// What the exception in flight is answered with.
HttpResponse answer_to_exception(const HttpServerShared& shared) {
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

}  // namespace

// One event of the reader. False when it needs more bytes.
bool HttpConnection::step() {
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

void HttpConnection::on_head() {
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

void HttpConnection::begin_body(State state) {
  state_ = state;
  body_watch_.start(Clock::now());
}

HttpResponse HttpConnection::too_large() const {
  return error_response(413,
                        "the body is larger than " + std::to_string(max_body_bytes_) + " bytes");
}

// Answers a request whose body nobody wants. A small one is read and thrown away; for a large
// one, or one whose sender waits for leave to send it, the connection ends.
void HttpConnection::refuse(HttpResponse response) {
  const HttpHead& head = reader_.head();
  const bool is_small = head.content_length && *head.content_length <= kMaxDiscardBytes;
  const bool may_send_none = head.has_body() && head.headers.find("Expect") != nullptr;
  abort_sink();
  if (!is_small || may_send_none || !reader_.keep_alive()) return fail(std::move(response));
  send_response(std::move(response), /*keep=*/true);
  begin_body(State::discard);
}

void HttpConnection::on_body(std::string_view bytes) {
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

void HttpConnection::on_complete() {
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

HttpResponse HttpConnection::dropped() {
  return error_response(500, "the request was dropped without an answer");
}

void HttpConnection::finish_exchange(HttpResponse otherwise) {
  auto response = exchange_->take();
  exchange_.reset();
  const bool keep = reader_.keep_alive();
  send_response(response ? std::move(*response) : std::move(otherwise), keep);
  if (keep) next_request();
}

void HttpConnection::next_request() {
  reader_.reset();
  state_ = State::head;
  head_started_ = false;
  is_idle_new_ = true;
  is_head_request_ = false;
}

// The last answer of this connection.
void HttpConnection::fail(HttpResponse response) {
  forget_request();
  send_response(std::move(response), /*keep=*/false);
}

void HttpConnection::end_after_exception() noexcept {
  try {
    answer_to_exception(shared_);
    close();
  } catch (...) {  // out of memory for a text; the socket goes with the connection
    shared_.connections.erase(shared_from_this());
  }
}

void HttpConnection::forget_request() {
  abort_sink();
  release_budget();
  request_ = {};
  if (exchange_) exchange_->cancel();
  exchange_.reset();
}

void HttpConnection::abort_sink() {
  if (request_.sink) std::exchange(request_.sink, nullptr)->abort();
}

void HttpConnection::release_budget() {
  shared_.buffered_bytes -= std::exchange(buffered_bytes_, 0);
}

void HttpConnection::send_response(HttpResponse response, bool keep) {
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

}  // namespace zeroth
