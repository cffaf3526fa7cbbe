// One request of the HTTP server between its handler and its connection: what a responder, which
// any thread may hold, shares with the connection that waits for it. Internal to the server.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "system/http.h"

namespace zeroth {

class HttpConnection;

/// A way into the server's thread that may outlive it.
class HttpMailbox {
 public:
  using Task = std::function<void()>;

  /// `post` has the server's thread run a task.
  explicit HttpMailbox(std::function<void(Task)> post) : post_(std::move(post)) {}

  void post(Task task) {
    const std::lock_guard lock(mutex_);
    if (post_) post_(std::move(task));
  }
  void close() {
    const std::lock_guard lock(mutex_);
    post_ = nullptr;
  }

 private:
  std::mutex mutex_;
  std::function<void(Task)> post_;
};

/// What a responder shares with the connection that waits for it.
class HttpExchange {
 public:
  HttpExchange(std::shared_ptr<HttpMailbox> mailbox, std::weak_ptr<HttpConnection> connection)
      : mailbox_(std::move(mailbox)), connection_(std::move(connection)) {}

  void answer(HttpResponse response);
  void drop();

  /// The handler has returned. Whether the responder is done already; if not, it wakes.
  bool end_call();
  std::optional<HttpResponse> take();

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  void wake(std::unique_lock<std::mutex> lock);

  std::shared_ptr<HttpMailbox> mailbox_;
  std::weak_ptr<HttpConnection> connection_;
  std::mutex mutex_;
  std::optional<HttpResponse> response_;
  bool dropped_ = false;
  bool in_call_ = true;
  std::atomic<bool> cancelled_{false};
};

}  // namespace zeroth
