// A worker in this process, behind a server on the loopback, and the engine that asks it: what a
// bench of workers measures.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "rollout/numerics.h"
#include "rollout/remote_engine.h"
#include "rollout/worker.h"
#include "system/http_server.h"

namespace zeroth {

class LoopbackWorker {
 public:
  /// Of `policy`, which must outlive this, as `backend`.
  LoopbackWorker(const Context& context, const PackedPolicy& policy, WorkerBackend& backend)
      : directory_(std::filesystem::temp_directory_path() /
                   ("zeroth-bench-" + std::to_string(::getpid()))),
        numerics_(rollout_numerics(context, policy.dtype())),
        worker_(backend, {.version = ZEROTH_VERSION,
                          .isa = std::string(isa_name(context.isa)),
                          .numerics = {{std::string(dtype_name(policy.dtype())), numerics_}},
                          .open = true,
                          .staging_directory = directory_ / "staging"}),
        server_({}, worker_),
        engine_(policy, remote_config()) {}
  ~LoopbackWorker() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  LoopbackWorker(const LoopbackWorker&) = delete;
  LoopbackWorker& operator=(const LoopbackWorker&) = delete;

  RemoteEngine& engine() { return engine_; }

 private:
  RemoteEngineConfig remote_config() const {
    RemoteEngineConfig config;
    config.workers = {"http://127.0.0.1:" + std::to_string(server_.port())};
    config.learner = "bench";
    config.numerics = numerics_;
    config.publish_directory = directory_ / "published";
    return config;
  }

  std::filesystem::path directory_;
  std::string numerics_;
  RolloutWorker worker_;
  HttpServer server_;
  RemoteEngine engine_;
};

}  // namespace zeroth
