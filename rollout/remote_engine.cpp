#include "rollout/remote_engine.h"

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "policy/published_policy.h"
#include "rollout/remote_call.h"
#include "rollout/request_check.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {

namespace fs = std::filesystem;

RemoteEngine::RemoteEngine(const PackedPolicy& policy, RemoteEngineConfig config)
    : policy_(policy), config_(std::move(config)) {
  if (config_.workers.empty()) throw std::invalid_argument("remote engine: no workers");
  if (fs::is_directory(config_.publish_directory)) remove_left_over(config_.publish_directory);
  // A request's groups come in one answer.
  config_.http.max_body_bytes = std::max(config_.http.max_body_bytes, std::uint64_t{1} << 32);
  std::set<std::string> known;
  for (const std::string& url : config_.workers) {
    if (!known.insert(url).second) {
      throw InputError({.source = "workers",
                        .field = "",
                        .expected = "every worker once",
                        .actual = url + " twice"});
    }
    workers_.push_back(std::make_unique<Worker>(url, config_));
  }
}

RemoteEngine::~RemoteEngine() {
  std::error_code ignored;
  fs::remove(config_.publish_directory / "model.safetensors", ignored);
  fs::remove(config_.publish_directory, ignored);  // unless somebody else's files are in it
}

void RemoteEngine::publish_version() {
  if (!label_.sha256.empty() && label_.version == policy_.version()) return;
  fs::create_directories(config_.publish_directory);
  publish(policy_, config_.publish_directory);
  label_ = {.learner = config_.learner,
            .epoch = config_.epoch,
            .version = policy_.version(),
            .sha256 = sha256_hex_of_file(config_.publish_directory / "model.safetensors")};
}

std::vector<Group> RemoteEngine::generate(std::span<const GenerateRequest> requests,
                                          const SamplingParams& sampling,
                                          const GroupSink& on_group) {
  check_requests(requests, sampling, policy_.config());
  if (sampling.seed > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw std::invalid_argument("remote engine: seed above 2^63 - 1");
  if (requests.empty()) return {};
  publish_version();
  Call call(*this, requests, sampling);
  return call.collect(on_group);
}

}  // namespace zeroth
