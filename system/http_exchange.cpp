#include "system/http_exchange.h"

#include <stdexcept>

#include "system/http_connection.h"
#include "system/http_server.h"

namespace zeroth {

void HttpExchange::answer(HttpResponse response) {
  std::unique_lock lock(mutex_);
  response_ = std::move(response);
  wake(std::move(lock));
}

// A handler that throws drops its responder on the way out: what it threw is the better answer,
// so that a drop is noted and answered by the connection.
void HttpExchange::drop() {
  std::unique_lock lock(mutex_);
  dropped_ = true;
  wake(std::move(lock));
}

bool HttpExchange::end_call() {
  const std::lock_guard lock(mutex_);
  in_call_ = false;
  return response_ || dropped_;
}

std::optional<HttpResponse> HttpExchange::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(response_, std::nullopt);
}

void HttpExchange::wake(std::unique_lock<std::mutex> lock) {
  if (in_call_) return;  // the caller of the handler looks when it returns
  lock.unlock();
  mailbox_->post([weak = connection_] {
    if (const auto connection = weak.lock()) {
      connection->guard([&] { connection->on_answer(); });
    }
  });
}

// -- The responder, which is the public end of it

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

}  // namespace zeroth
