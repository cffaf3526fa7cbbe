// One generate() of the remote engine, and what is known of each worker. Internal to the remote
// engine.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "rollout/remote_engine.h"
#include "system/http_client.h"

namespace zeroth {

struct RemoteEngine::Worker {
  Worker(std::string worker_url, const RemoteEngineConfig& config);

  const std::string url;
  HttpClient client;     // of serve(); kept between calls, as is
  HttpClient heartbeat;  // of watch()

  bool at_hand = true;   // the last thing that is known of it was right
  bool lost = false;     // and that was told
  bool refused = false;  // for good
  int failures = 0;      // in a row, of a worker that was at hand
  int refusals = 0;      // in a row
  bool numerics_noted = false;
  std::size_t most_groups = std::numeric_limits<std::size_t>::max();  // of one request
  std::string problem;                                                // the last one

  // Of the call that runs:
  bool prepared = false;  // holds the call's weights
  bool sending = false;   // the client waits for an answer that may take any time
  bool asking = false;    // the heartbeat waits
  std::string given_up;   // why the client was cancelled
  std::chrono::steady_clock::time_point heard;
};

// One generate(): for each worker a thread that pulls and one that watches, and the caller's, which
// hands out what has come.
class RemoteEngine::Call {
 public:
  Call(RemoteEngine& engine, std::span<const GenerateRequest> requests,
       const SamplingParams& sampling);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  std::vector<Group> collect(const GroupSink& on_group);

 private:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  static constexpr int kFailuresInARow = 3;  // of a worker that is at hand no more
  static constexpr int kRefusalsInARow =
      3;  // that are believed: what is damaged may read like a refusal

  struct Unit {
    std::vector<std::size_t> indices;
    Clock::time_point start;
    Worker* worker = nullptr;
  };

  // The caller's thread; remote_call.cpp
  void start();
  void end();
  void hand_out(const GroupSink& on_group, std::unique_lock<std::mutex>& lock);
  void check_workers();
  std::size_t num_at_hand() const;
  std::string problems() const;

  // Who samples which groups; remote_call_groups.cpp
  Unit* take(Worker& worker);
  Unit* take_from_slow(Worker& worker);
  Unit* hold(Worker& worker, std::vector<std::size_t> indices);
  void deliver(Worker& worker, Unit& unit, std::vector<Group> groups);
  void give_back(Unit* unit);
  bool take_fewer(Worker& worker, std::size_t than);

  // A worker's two threads; remote_call_worker.cpp
  void serve(Worker& worker);
  void prepare(Worker& worker);
  void check_numerics(Worker& worker, const WorkerHealth& health);
  std::vector<Group> ask(Worker& worker, const Unit& unit);
  HttpResponse send(Worker& worker, const HttpClientRequest& request);
  void lose(Worker& worker, const std::string& problem);
  bool refuse(Worker& worker, const std::string& problem);
  void reached(Worker& worker);
  void prepared(Worker& worker);
  bool pause(Seconds seconds);
  void watch(Worker& worker);
  bool answers(Worker& worker);

  void note(std::string text) { notes_.push_back(std::move(text)); }  // with mutex_ held

  const RemoteEngineConfig& config_;
  const ModelConfig& model_;
  const WeightsLabel& label_;
  const std::string dtype_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::span<const GenerateRequest> requests_;
  const SamplingParams& sampling_;

  mutable std::mutex mutex_;  // all below, and the workers' fields but url and clients
  std::condition_variable changed_;
  bool over_ = false;
  std::deque<std::size_t> pending_;
  std::vector<Group> groups_;
  std::vector<Worker*> answered_by_;           // nullptr: not yet
  std::size_t left_;                           // groups that nobody has answered
  std::vector<int> holders_;                   // units in flight that hold the group
  std::deque<std::unique_ptr<Unit>> flights_;  // units in flight, the oldest first
  std::deque<std::size_t> arrived_;            // groups to be handed out
  std::deque<std::string> notes_;              // to be told
  std::exception_ptr failure_;                 // ends the call
  double group_seconds_ = 0.0;                 // of the groups that were answered
  std::size_t num_answered_ = 0;
  Clock::time_point last_at_hand_;

  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace zeroth
