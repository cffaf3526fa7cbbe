#include "tools/worker_pool.h"

#include <chrono>
#include <filesystem>

#include "rollout/remote_engine.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

std::string read_token(const std::string& file) {
  std::string token = read_file(file);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty() || token.find_first_of(" \t\r\n") != std::string::npos) {
    throw InputError({.source = file,
                      .field = "",
                      .expected = "one line that is the workers' token",
                      .actual = token.empty() ? "nothing" : "text with blanks or several lines"});
  }
  return token;
}

// Later learners supersede earlier ones at a worker.
std::int64_t start_of_learner() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::unique_ptr<Engine> connect_workers(const GrpoConfig& config, const Collectives& ranks,
                                        SamplingRun run) {
  const Share own = ranks.share(config.workers.size(), ranks.rank());
  if (config.workers.size() < static_cast<std::size_t>(ranks.size())) {
    throw InputError(
        {.source = "configuration",
         .field = "workers",
         .expected = "at least one for each of the " + std::to_string(ranks.size()) + " ranks",
         .actual = std::to_string(config.workers.size())});
  }
  RemoteEngineConfig remote;
  for (std::size_t i = own.begin; i < own.end; ++i) {
    const std::string& worker = config.workers[i];
    remote.workers.push_back(worker.find("://") == std::string::npos ? "http://" + worker : worker);
  }
  if (!config.worker_token_file.empty())
    remote.http.bearer_token = read_token(config.worker_token_file);
  if (!config.worker_ca_file.empty()) remote.http.ca_file = config.worker_ca_file;
  remote.learner = run.key;
  remote.epoch = start_of_learner();
  remote.numerics = run.numerics;
  remote.allow_mixed_numerics = config.allow_mixed_numerics;
  remote.publish_directory =
      std::filesystem::path(config.output_dir) /
      (ranks.is_first() ? "published" : "published-rank-" + std::to_string(ranks.rank()));
  remote.lost_seconds = config.worker_lost_seconds;
  remote.no_worker_seconds = config.no_worker_seconds;
  remote.note = std::move(run.note);
  remote.on_wait = std::move(run.check_stop);
  return std::make_unique<RemoteEngine>(run.policy, std::move(remote));
}

}  // namespace zeroth
