// A rollout worker: takes weights from a learner and samples groups for it, over HTTP (protocol.h).
//
// One thread of the worker's own loads weights and samples; requests wait in a bounded queue, and
// those that sample alike are sampled together. What is answered is a function of the request and
// of the weights it names, so it does not matter to which worker it goes, nor how often.
//
// Goals: nothing a peer sends ends the process or grows its memory or disk beyond the limits; a
// request for weights that are not here is refused and never answered from others. Non-goals:
// sockets and TLS (system/http_server.h), more than one policy at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rollout/engine.h"
#include "rollout/protocol.h"
#include "system/bearer_tokens.h"
#include "system/http_server.h"

namespace zeroth {

/// What samples for a worker. Called on the worker's thread alone.
class WorkerBackend {
 public:
  virtual ~WorkerBackend() = default;
  /// Takes over the published policy in `directory`/model.safetensors. InputError, with what was
  /// there before still in place, for one that is wrong.
  virtual void load(const std::filesystem::path& directory) = 0;
  /// As Engine::generate; `on_progress` is called all along and may throw to give the call up.
  virtual std::vector<Group> generate(std::span<const GenerateRequest> requests,
                                      const SamplingParams& sampling, const GroupSink& on_group,
                                      const std::function<void()>& on_progress) = 0;
  /// Of the last generate(), also of one that threw.
  virtual GenerationStatistics statistics() const = 0;
};

struct WorkerConfig {
  std::string version = {};                          // of the program, for /health
  std::string isa = {};                              // for /health
  std::map<std::string, std::string> numerics = {};  // rollout_numerics() by dtype
  BearerTokens tokens = {};                          // scopes generate, publish, metrics
  bool open = false;                                 // asks for no token; for the loopback only
  std::filesystem::path staging_directory =
      {};  // of weights on their way; its own, emptied at start
  std::uint64_t max_weights_bytes = std::uint64_t{64} << 30;
  std::uint64_t max_request_bytes = std::uint64_t{16} << 20;
  // What the requests in the queue can ask for, and once more what is being sampled:
  std::int64_t max_tokens = std::int64_t{1} << 26;
  std::int64_t max_completions = std::int64_t{1} << 20;
  std::size_t max_queue = 64;  // requests
};

/// What a token may be good for: generate, publish, metrics.
std::vector<std::string> worker_scopes();

class RolloutWorker : public HttpHandler {
 public:
  /// `backend` must outlive this. `note`, where set, is told on the worker's thread what a person
  /// at the worker may want to know. InputError for a staging directory that another process works
  /// in or that holds anything but a worker's uploads.
  RolloutWorker(WorkerBackend& backend, WorkerConfig config,
                std::function<void(const std::string&)> note = {});
  /// Gives up what is being sampled. The server must have stopped.
  ~RolloutWorker() override;
  RolloutWorker(const RolloutWorker&) = delete;
  RolloutWorker& operator=(const RolloutWorker&) = delete;

  HttpDecision on_head(const HttpHead& head) override;
  void on_request(HttpRequest request, HttpResponder responder) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zeroth
