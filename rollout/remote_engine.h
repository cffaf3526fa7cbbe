// An engine whose sampling is done by workers (worker.h), over HTTP.
//
// Workers pull: each takes a share of the groups that are left, answers, and takes more. One that
// dies, falls silent, answers wrongly or holds other weights loses its groups to the others; idle
// workers sample again what a slow one holds, and the first answer counts. None of it shows in a
// result: a group is the same whoever samples it, two answers for one group are compared, and what
// the wire damages or mixes up is found by hashes.
//
// Goal: any number of workers, joining, leaving and dying, give the bytes of a local run. Non-goal:
// sampling here when there is no worker: the call waits for one and then fails, saying why.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "policy/packed_policy.h"
#include "rollout/engine.h"
#include "rollout/protocol.h"
#include "system/http_client.h"

namespace zeroth {

struct RemoteEngineConfig {
  std::vector<std::string> workers = {};  // URLs; at least one
  HttpClientConfig http = {};             // token, trusted certificates
  std::string learner = {};               // the run, as its settings' hash
  std::int64_t epoch = 0;                 // WeightsLabel::epoch
  std::string numerics;                   // rollout_numerics() of the learner
  bool allow_mixed_numerics = false;
  std::filesystem::path publish_directory =
      {};                          // holds the version being published; removed at the end
  double lost_seconds = 10;        // of silence, after which a worker's groups go to others
  double no_worker_seconds = 600;  // without any worker, after which the call fails
  // Both are called on the thread that calls generate() and may throw to give the call up.
  std::function<void(const std::string&)> note = {};  // told who is lost, refused, back
  std::function<void()> on_wait = {};  // about once a second while no worker is at hand
};

class RemoteEngine : public Engine {
 public:
  /// `policy` must outlive this; its weights are published when its version has changed. Nobody is
  /// spoken to yet. InputError for a URL that is none or stands twice, std::invalid_argument
  /// without workers.
  RemoteEngine(const PackedPolicy& policy, RemoteEngineConfig config);
  ~RemoteEngine() override;

  /// std::invalid_argument as check_requests (request_check.h), and for a seed above 2^63 - 1.
  /// InputError, naming each worker and why, when all of them refuse for good (another numerics
  /// fingerprint, a token that is not theirs, a later learner, a group that is too large for them);
  /// std::runtime_error, naming each as well, when none was to be had for no_worker_seconds (one
  /// that fails again and again is none), and when two workers gave two answers to one request.
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& on_group = {}) override;

 private:
  struct Worker;
  class Call;
  void publish_version();

  const PackedPolicy& policy_;
  RemoteEngineConfig config_;
  std::vector<std::unique_ptr<Worker>> workers_;
  WeightsLabel label_;  // of the version that is published
};

}  // namespace zeroth
