// What the tests of workers share: backends that a test commands, a worker behind a server, and the
// requests that a learner sends it, as bytes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "policy/published_policy.h"
#include "rollout/local_backend.h"
#include "rollout/numerics.h"
#include "rollout/protocol.h"
#include "rollout/worker.h"
#include "system/error.h"
#include "system/file.h"
#include "system/http_client.h"
#include "system/http_server.h"
#include "tests/rollout/tiny_policy.h"
#include "tests/support/http_fixture.h"
#include "tests/support/temporary_directory.h"

namespace zeroth::testing {

/// Whether two lists of groups are the same to the bit.
inline bool same_bytes(const std::vector<Group>& a, const std::vector<Group>& b) {
  return write_groups(a) == write_groups(b);
}

/// A gate that threads wait at until it is opened.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool is_open() const {
    const std::lock_guard lock(mutex_);
    return open_;
  }
  /// For a moment, or until it is open.
  void wait_a_moment() const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(5), [&] { return open_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool open_ = false;
};

/// Takes any weights but "wrong" ones and answers at once with completions of one token, the
/// prompt's first; a test may change either and look on.
class FakeBackend : public WorkerBackend {
 public:
  std::function<void(const std::string& bytes)> on_load = [](const std::string& bytes) {
    if (bytes == "wrong") {
      throw InputError({.source = "weights", .field = "", .expected = "right", .actual = "wrong"});
    }
  };
  /// Called before a batch is answered, with the way to notice that it is given up.
  std::function<void(std::span<const GenerateRequest>, const std::function<void()>& on_progress)>
      on_batch;
  /// Called before group `index` of a batch is answered.
  std::function<void(std::size_t index)> on_group_due;

  void load(const std::filesystem::path& directory) override {
    on_load(read_file(directory / "model.safetensors"));
  }

  std::vector<Group> generate(std::span<const GenerateRequest> requests, const SamplingParams&,
                              const GroupSink& on_group,
                              const std::function<void()>& on_progress) override {
    {
      const std::lock_guard lock(mutex_);
      batches_.push_back(requests.size());
    }
    if (on_batch) on_batch(requests, on_progress);
    std::vector<Group> groups;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (on_group_due) on_group_due(i);
      groups.push_back(answer(requests[i]));
      on_group(i, groups[i]);
    }
    return groups;
  }

  GenerationStatistics statistics() const override {
    return {.preemptions = 2, .recomputed_tokens = 30};
  }

  static Group answer(const GenerateRequest& request) {
    Group group;
    group.completions.assign(static_cast<std::size_t>(request.num_generations),
                             {.tokens = {request.prompt[0]}, .logprobs = {-0.5F}});
    return group;
  }

  /// The number of requests of each batch so far.
  std::vector<std::size_t> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::size_t> batches_;
};

/// A worker behind a server, on the loopback; asks for no token unless `config` says so.
class ServedWorker {
 public:
  explicit ServedWorker(WorkerBackend& backend, WorkerConfig config = {.open = true},
                        HttpServerConfig server = {}) {
    config.staging_directory = staging();
    worker_ = std::make_unique<RolloutWorker>(backend, std::move(config),
                                              [this](const std::string& text) { note(text); });
    server_ = std::make_unique<HttpServer>(std::move(server), *worker_);
  }
  ~ServedWorker() {
    server_.reset();
    worker_.reset();
  }

  std::uint16_t port() const { return server_->port(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  std::size_t num_connections() const { return server_->num_connections(); }
  std::filesystem::path staging() const { return directory_ / "staging"; }
  std::size_t num_staged() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(staging()), {}));
  }
  std::vector<std::string> notes() const {
    const std::lock_guard lock(mutex_);
    return notes_;
  }
  WorkerHealth health() const {
    HttpClient client(url());
    return read_health(client.send({.target = std::string(kHealthPath)}).body, "health");
  }
  /// Stops to listen; what is queued is given up.
  void stop_server() { server_.reset(); }

 private:
  void note(const std::string& text) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(text);
  }

  const TemporaryDirectory directory_;
  mutable std::mutex mutex_;
  std::vector<std::string> notes_;
  std::unique_ptr<RolloutWorker> worker_;
  std::unique_ptr<HttpServer> server_;
};

/// A worker that samples from what is published to it.
struct SamplingWorker {
  explicit SamplingWorker(WorkerConfig config = worker_config(), HttpServerConfig server = {},
                          EngineConfig engine = {.max_num_seqs = 16,
                                                 .page_size = 4,
                                                 .record_experts = true})
      : backend({best_isa(), &pool}, std::move(engine)),
        served(backend, std::move(config), std::move(server)) {}

  /// With the fingerprints of this machine.
  static WorkerConfig worker_config() {
    static const std::map<std::string, std::string> kNumerics = [] {
      ThreadPool pool(1);
      const Context context{best_isa(), &pool};
      std::map<std::string, std::string> numerics;
      for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16})
        numerics[std::string(dtype_name(dtype))] = rollout_numerics(context, dtype);
      return numerics;
    }();
    return {.version = "test", .isa = "test", .numerics = kNumerics, .open = true};
  }

  ThreadPool pool{1};
  LocalBackend backend;
  ServedWorker served;
};

// -- Requests as a learner sends them

using Fields = std::map<std::string, std::string>;

/// A request of bytes with Content-Length and `fields`; one whose value is empty is left out.
inline std::string message(const std::string& method, const std::string& path, const Fields& fields,
                           const std::string& body) {
  std::string text = method + " " + path + " HTTP/1.1\r\nHost: here\r\n";
  for (const auto& [name, value] : fields) {
    if (!value.empty()) text += name + ": " + value + "\r\n";
  }
  return text + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline WeightsLabel label_for(const std::string& weights, std::int64_t version = 1,
                              std::int64_t epoch = 1) {
  return {.learner = "run", .epoch = epoch, .version = version, .sha256 = sha256_hex(weights)};
}

/// The fields that publish weights of `label`.
inline Fields fields_of(const WeightsLabel& label) {
  return {{kLearnerHeader, label.learner},
          {kEpochHeader, std::to_string(label.epoch)},
          {kSha256Header, label.sha256},
          {kLabelHeader, label_sha256(label)}};
}

inline std::string put(const std::string& weights, const WeightsLabel& label,
                       const Fields& changes = {}) {
  Fields fields = fields_of(label);
  for (const auto& [name, value] : changes) fields[name] = value;
  return message("PUT", std::string(kWeightsPath) + std::to_string(label.version), fields, weights);
}
inline std::string put(const std::string& weights, std::int64_t version = 1,
                       std::int64_t epoch = 1) {
  return put(weights, label_for(weights, version, epoch));
}

inline std::string rollouts(const std::string& json, const Fields& changes = {}) {
  Fields fields{{kSha256Header, sha256_hex(json)}};
  for (const auto& [name, value] : changes) fields[name] = value;
  return message("POST", std::string(kRolloutsPath), fields, json);
}
inline std::string rollouts(const RolloutsRequest& request, const Fields& changes = {}) {
  return rollouts(write_rollouts_request(request), changes);
}

/// Groups of two for prompts of one token, the index and what is asked of the weights.
inline RolloutsRequest request_of(const std::string& weights, std::size_t num_requests = 1) {
  RolloutsRequest request{.weights_sha256 = sha256_hex(weights),
                          .policy_version = 1,
                          .sampling = {.max_new_tokens = 4, .seed = 3},
                          .requests = {}};
  for (std::size_t i = 0; i < num_requests; ++i) {
    request.requests.push_back({.prompt = {static_cast<std::int32_t>(i)},
                                .num_generations = 2,
                                .problem = static_cast<std::uint32_t>(i)});
  }
  return request;
}

/// What a worker answers to a message, by a connection of its own.
struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

inline Answer read_answer(RawConnection& connection) {
  Answer answer;
  answer.head = connection.read_until("\r\n\r\n");
  answer.status = status_of(answer.head);
  const std::size_t at = answer.head.find("Content-Length: ");
  if (at == std::string::npos) return answer;
  const std::size_t size = std::stoul(answer.head.substr(at + 16));
  answer.body = connection.read_bytes(size);
  return answer;
}

inline Answer answer_to(std::uint16_t port, const std::string& text) {
  RawConnection connection(port);
  connection.send(text);
  return read_answer(connection);
}

/// The sample of a Prometheus text; -999 without it.
inline double metric_of(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\nzeroth_worker_" + name + " ");
  if (at == std::string::npos) return -999;
  return std::stod(text.substr(at + name.size() + 16));
}

}  // namespace zeroth::testing
