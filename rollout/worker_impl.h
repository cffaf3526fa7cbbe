// A rollout worker from inside: what comes over HTTP on the server's thread (worker.cpp), and the
// worker's own thread, which loads and samples (worker_thread.cpp). Internal to the worker.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "rollout/weights_upload.h"
#include "rollout/worker.h"
#include "rollout/worker_metrics.h"
#include "system/file.h"

namespace zeroth {

/// `response` with the hash of its body.
HttpResponse with_hash(HttpResponse response);

class RolloutWorker::Impl {
 public:
  Impl(WorkerBackend& backend, WorkerConfig config, std::function<void(const std::string&)> note);
  ~Impl();

  HttpDecision on_head(const HttpHead& head);
  void on_request(HttpRequest request, HttpResponder responder);

 private:
  struct Job {
    HttpResponder responder;
    std::optional<RolloutsRequest> rollouts;  // either this
    std::shared_ptr<WeightsUpload> upload;    // or these two
    WeightsLabel label;
    std::string sha256;         // of the request for rollouts
    std::vector<Group> groups;  // that answer it, as they finish
    std::size_t missing = 0;
    bool answered = false;
  };
  // What of a queue's limits a job takes.
  struct Cost {
    std::int64_t tokens = 0, completions = 0;
  };

  void note(const std::string& text) const {
    if (note_) note_(text);
  }
  // On the server's thread; worker.cpp
  void authorize(const HttpHead& head, const char* scope) const;
  HttpDecision accept_weights(const HttpHead& head);
  void check_fence(const WeightsLabel& label) const;
  void check_holds(const RolloutsRequest& request) const;
  static Cost cost_of(const Job& job);
  bool has_room_for(const Cost& cost) const;
  void enqueue(Job job);
  std::string metrics() const;
  WorkerHealth health() const;

  // On the worker's own, but for answer(); worker_thread.cpp
  void work();
  std::vector<Job> take_batch();
  void load(Job& job);
  void sample(std::vector<Job>& batch);
  void sample_now(std::span<Job> batch);
  void give_up(Job& job);
  void answer(Job& job, HttpResponse response);
  void answer_groups(Job& job);
  void refuse(Job& job, int status, const std::string& message);
  void refuse(Job& job, HttpResponse response);

  WorkerBackend& backend_;
  WorkerConfig config_;
  std::function<void(const std::string&)> note_;
  std::optional<DirectoryLock> staging_lock_;
  std::weak_ptr<WeightsUpload> upload_;  // the one there may be at a time; of the server's thread
  std::int64_t num_uploads_ = 0;

  mutable std::mutex mutex_;  // all below
  std::condition_variable wake_;
  std::deque<Job> queue_;
  Cost queued_;
  std::optional<WeightsLabel> weights_;
  WorkerCounters counters_;
  std::atomic<bool> stopping_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace zeroth
