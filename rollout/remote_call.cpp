#include "rollout/remote_call.h"

#include <algorithm>
#include <stdexcept>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {

RemoteEngine::Call::Call(RemoteEngine& engine, std::span<const GenerateRequest> requests,
                         const SamplingParams& sampling)
    : config_(engine.config_),
      model_(engine.policy_.config()),
      label_(engine.label_),
      dtype_(dtype_name(engine.policy_.dtype())),
      workers_(engine.workers_),
      requests_(requests),
      sampling_(sampling),
      groups_(requests.size()),
      answered_by_(requests.size(), nullptr),
      left_(requests.size()),
      holders_(requests.size(), 0),
      last_at_hand_(Clock::now()) {
  for (std::size_t i = 0; i < requests.size(); ++i) pending_.push_back(i);
}

RemoteEngine::Call::~Call() {
  end();
  for (std::thread& thread : threads_) thread.join();
}

void RemoteEngine::Call::start() {
  for (const auto& worker : workers_) {
    worker->prepared = false;
    if (worker->refused) continue;
    threads_.emplace_back([this, w = worker.get()] { serve(*w); });
    threads_.emplace_back([this, w = worker.get()] { watch(*w); });
  }
}

// Connections on which nothing is under way are kept for the next call.
void RemoteEngine::Call::end() {
  const std::lock_guard lock(mutex_);
  over_ = true;
  changed_.notify_all();
  for (const auto& worker : workers_) {
    if (worker->sending) {
      worker->given_up = "the call has ended";
      worker->client.cancel();
    }
    if (worker->asking) worker->heartbeat.cancel();
  }
}

std::vector<Group> RemoteEngine::Call::collect(const GroupSink& on_group) {
  if (left_ > 0) start();
  std::unique_lock lock(mutex_);
  for (;;) {
    hand_out(on_group, lock);
    if (failure_) std::rethrow_exception(failure_);
    if (left_ == 0) break;
    check_workers();
    if (num_at_hand() == 0 && config_.on_wait) {
      lock.unlock();
      config_.on_wait();
      lock.lock();
    }
    if (left_ > 0 && arrived_.empty() && notes_.empty() && !failure_)
      changed_.wait_for(lock, Seconds(1.0));
  }
  over_ = true;  // nobody looks at the groups any more
  return std::move(groups_);
}

void RemoteEngine::Call::hand_out(const GroupSink& on_group, std::unique_lock<std::mutex>& lock) {
  while (!notes_.empty() || (!arrived_.empty() && !failure_)) {
    if (!notes_.empty()) {
      const std::string text = std::move(notes_.front());
      notes_.pop_front();
      if (!config_.note) continue;
      lock.unlock();
      config_.note(text);
      lock.lock();
    } else {
      const std::size_t index = arrived_.front();
      arrived_.pop_front();
      if (!on_group) continue;
      lock.unlock();
      on_group(index, groups_[index]);  // a group that has come is not written any more
      lock.lock();
    }
  }
}

// With mutex_ held.
void RemoteEngine::Call::check_workers() {
  const bool all_refused = std::all_of(workers_.begin(), workers_.end(),
                                       [](const auto& worker) { return worker->refused; });
  if (all_refused) {
    throw InputError({.source = "workers",
                      .field = "",
                      .expected = "at least one that serves this run",
                      .actual = problems()});
  }
  if (num_at_hand() > 0) last_at_hand_ = Clock::now();
  const Seconds alone = Clock::now() - last_at_hand_;
  if (alone.count() <= config_.no_worker_seconds) return;
  throw std::runtime_error("no worker was to be had for " + json_number(config_.no_worker_seconds) +
                           " s: " + problems());
}

std::size_t RemoteEngine::Call::num_at_hand() const {
  return static_cast<std::size_t>(
      std::count_if(workers_.begin(), workers_.end(), [](const auto& worker) {
        return worker->at_hand && !worker->refused && worker->failures < kFailuresInARow;
      }));
}

std::string RemoteEngine::Call::problems() const {
  std::string text;
  for (const auto& worker : workers_)
    text += (text.empty() ? "" : "; ") + worker->url + ": " + worker->problem;
  return text;
}

}  // namespace zeroth
