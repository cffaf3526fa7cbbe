#include "rollout/remote_engine.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "policy/published_policy.h"
#include "rollout/group_record.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr int kOk = 200;
constexpr int kConflict = 409;
constexpr Seconds kHeartbeat{1.0};
constexpr Seconds kFirstRetry{0.1};
constexpr Seconds kLongestRetry{2.0};
constexpr double kAnyLength = 1e9;  // an answer takes as long as it takes; the heartbeat watches

// A worker that will not serve this learner however often it is asked.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The message of {"error":{"message":…}}, or the body's beginning.
std::string message_of(const HttpResponse& response) {
  try {
    return JsonReader::parse(response.body, "answer").child("error").get_string("message");
  } catch (const InputError&) {
    return response.body.substr(0, 200);
  }
}

// Throws for any answer but 200.
void expect_ok(const HttpResponse& response, const std::string& what) {
  if (response.status == kOk) return;
  const std::string text =
      what + ": " + std::to_string(response.status) + " " + message_of(response);
  if (response.status == 401 || response.status == 403) throw Refused(text);
  throw std::runtime_error(text);
}

}  // namespace

struct RemoteEngine::Worker {
  std::string url;
  bool at_hand = true;                 // as far as is known: not failing
  bool prepared = false;               // holds this call's weights
  bool refused = false;                // for good
  std::string problem;                 // the last one
  std::shared_ptr<HttpClient> client;  // kept between calls

  Worker(std::string worker_url, const HttpClientConfig& http)
      : url(std::move(worker_url)), client(std::make_shared<HttpClient>(url, http)) {}
};

// One generate(): a thread a worker that pulls and one that watches it, and the caller's, which
// hands out what has come.
class RemoteEngine::Call {
 public:
  Call(RemoteEngine& engine, std::span<const GenerateRequest> requests,
       const SamplingParams& sampling)
      : config_(engine.config_),
        label_(engine.label_),
        dtype_(dtype_name(engine.policy_.dtype())),
        workers_(engine.workers_),
        requests_(requests),
        sampling_(sampling),
        groups_(requests.size()),
        done_(requests.size(), false),
        left_(requests.size()),
        holders_(requests.size(), 0),
        last_at_hand_(Clock::now()) {
    for (std::size_t i = 0; i < requests.size(); ++i) pending_.push_back(i);
    for (const auto& worker : workers_) {
      worker->prepared = false;
      if (worker->refused) continue;
      threads_.emplace_back([this, w = worker.get()] { serve(*w); });
      threads_.emplace_back([this, w = worker.get()] { watch(*w); });
    }
  }
  ~Call() {
    end();
    for (std::thread& thread : threads_) thread.join();
    for (Worker* worker : cancelled_)
      worker->client = std::make_shared<HttpClient>(worker->url, config_.http);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  std::vector<Group> collect(const GroupSink& on_group);

 private:
  struct Unit {
    std::vector<std::size_t> indices;
    Clock::time_point start;
    Worker* worker = nullptr;
    bool shared = false;  // someone else samples it, too
  };

  void end();
  void serve(Worker& worker);
  void watch(Worker& worker);
  void prepare(Worker& worker, HttpClient& client);
  void check_numerics(const Worker& worker, const WorkerHealth& health);
  Unit* take(Worker& worker);
  Unit* take_from_slow(Worker& worker);
  std::vector<Group> ask(HttpClient& client, const Unit& unit);
  void deliver(Worker& worker, Unit& unit, std::vector<Group> groups);
  void give_back(Unit& unit);
  void lose(Worker& worker, const std::string& problem, bool for_good);
  void found(Worker& worker);
  void pause(Seconds seconds);
  std::size_t num_at_hand() const;
  std::string problems() const;
  void note(const std::string& text) const {
    if (config_.note) config_.note(text);
  }

  const RemoteEngineConfig& config_;
  const WeightsLabel& label_;
  const std::string dtype_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::span<const GenerateRequest> requests_;
  const SamplingParams& sampling_;

  mutable std::mutex mutex_;  // all below, and the workers' fields
  std::condition_variable changed_;
  bool over_ = false;
  std::deque<std::size_t> pending_;
  std::vector<Group> groups_;
  std::vector<bool> done_;
  std::size_t left_;
  std::vector<int> holders_;                   // units in flight that hold the group
  std::deque<std::unique_ptr<Unit>> flights_;  // units in flight
  std::deque<std::size_t> arrived_;            // groups to be handed out
  std::exception_ptr failure_;                 // ends the call
  double group_seconds_ = 0.0;                 // of the groups that were answered
  std::size_t num_answered_ = 0;
  Clock::time_point last_at_hand_;
  std::vector<std::shared_ptr<HttpClient>> heartbeats_;
  std::vector<Worker*> cancelled_;  // whose connection was given up at the end

  std::vector<std::thread> threads_;  // last: they use all of the above
};

void RemoteEngine::Call::end() {
  const std::lock_guard lock(mutex_);
  over_ = true;
  changed_.notify_all();
  // Connections on which nothing is under way are kept for the next call.
  for (const auto& worker : workers_) {
    const bool at_work = std::any_of(flights_.begin(), flights_.end(), [&](const auto& unit) {
      return unit->worker == worker.get();
    });
    if (!at_work && worker->at_hand && worker->prepared) continue;
    worker->client->cancel();
    cancelled_.push_back(worker.get());
  }
  for (const auto& client : heartbeats_) client->cancel();
}

std::vector<Group> RemoteEngine::Call::collect(const GroupSink& on_group) {
  std::unique_lock lock(mutex_);
  while (left_ > 0 || !arrived_.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    if (!arrived_.empty()) {
      const std::size_t index = arrived_.front();
      arrived_.pop_front();
      lock.unlock();
      if (on_group) on_group(index, groups_[index]);  // a finished group is not written any more
      lock.lock();
      continue;
    }
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
    if (alone.count() > config_.no_worker_seconds) {
      throw std::runtime_error("no worker was to be had for " +
                               std::to_string(static_cast<long long>(config_.no_worker_seconds)) +
                               " s: " + problems());
    }
    if (alone.count() > 0.0 && num_at_hand() == 0 && config_.on_wait) {
      lock.unlock();
      config_.on_wait();
      lock.lock();
    }
    if (left_ > 0 && arrived_.empty() && !failure_) changed_.wait_for(lock, Seconds(1.0));
  }
  return std::move(groups_);
}

std::size_t RemoteEngine::Call::num_at_hand() const {
  return static_cast<std::size_t>(
      std::count_if(workers_.begin(), workers_.end(),
                    [](const auto& worker) { return worker->at_hand && !worker->refused; }));
}

std::string RemoteEngine::Call::problems() const {
  std::string text;
  for (const auto& worker : workers_)
    text += (text.empty() ? "" : "; ") + worker->url + ": " + worker->problem;
  return text;
}

void RemoteEngine::Call::pause(Seconds seconds) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, seconds, [&] { return over_; });
}

void RemoteEngine::Call::lose(Worker& worker, const std::string& problem, bool for_good) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  if (worker.at_hand || for_good || worker.problem != problem)
    note("worker " + worker.url + (for_good ? " is refused: " : " is lost: ") + problem);
  worker.at_hand = false;
  worker.prepared = false;
  worker.refused = for_good;
  worker.problem = problem;
  worker.client = std::make_shared<HttpClient>(worker.url, config_.http);
  changed_.notify_all();
}

void RemoteEngine::Call::found(Worker& worker) {
  const std::lock_guard lock(mutex_);
  if (!worker.at_hand) note("worker " + worker.url + " is back");
  worker.at_hand = true;
  worker.prepared = true;
  worker.problem.clear();
}

void RemoteEngine::Call::serve(Worker& worker) {
  Seconds retry = kFirstRetry;
  for (;;) {
    Unit* unit = nullptr;
    std::shared_ptr<HttpClient> client;
    bool prepared = false;
    {
      const std::lock_guard lock(mutex_);
      if (over_ || failure_) return;
      client = worker.client;
      prepared = worker.prepared;
    }
    try {
      if (!prepared) prepare(worker, *client);
      retry = kFirstRetry;
      unit = take(worker);
      if (unit == nullptr) return;
      deliver(worker, *unit, ask(*client, *unit));
      continue;
    } catch (const Refused& refused) {
      if (unit != nullptr) give_back(*unit);
      return lose(worker, refused.what(), true);
    } catch (const std::exception& error) {  // HttpError, InputError: the wire or its other end
      if (unit != nullptr) give_back(*unit);
      lose(worker, error.what(), false);
    }
    pause(retry);
    retry = std::min(retry * 2, kLongestRetry);
  }
}

// Asks a worker at work whether it lives. Its health is answered by another thread than samples, so
// silence means that the machine, the process or the way to it is gone.
void RemoteEngine::Call::watch(Worker& worker) {
  HttpClientConfig http = config_.http;
  http.connect_seconds = std::min(http.connect_seconds, config_.lost_seconds);
  http.response_seconds = config_.lost_seconds;
  const auto renew = [&] {
    auto client = std::make_shared<HttpClient>(worker.url, http);
    const std::lock_guard lock(mutex_);
    heartbeats_.push_back(client);
    if (over_) client->cancel();
    return client;
  };
  std::shared_ptr<HttpClient> client = renew();
  for (;;) {
    std::shared_ptr<HttpClient> at_work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kHeartbeat, [&] { return over_ || worker.refused; });
      if (over_ || worker.refused) return;
      for (const auto& unit : flights_) {
        if (unit->worker == &worker) at_work = worker.client;
      }
    }
    if (!at_work) continue;
    try {
      client->send({.target = std::string(kHealthPath), .idempotent = true});
    } catch (const std::exception&) {
      at_work->cancel();  // serve() gives the groups back and says why
      client = renew();
    }
  }
}

void RemoteEngine::Call::check_numerics(const Worker& worker, const WorkerHealth& health) {
  const auto found = health.numerics.find(dtype_);
  const std::string theirs = found == health.numerics.end() ? "none" : found->second;
  if (theirs == config_.numerics) return;
  const std::string text = "numerics: expected " + config_.numerics + ", the learner's, got " +
                           theirs + " (zeroth " + health.version + ", " + health.isa + ")";
  if (!config_.allow_mixed_numerics) throw Refused(text);
  const std::lock_guard lock(mutex_);
  note("worker " + worker.url + ": " + text + "; allowed");
}

// Leaves the worker with this call's weights.
void RemoteEngine::Call::prepare(Worker& worker, HttpClient& client) {
  const HttpResponse health_response = client.send({.target = std::string(kHealthPath),
                                                    .idempotent = true,
                                                    .response_seconds = config_.lost_seconds});
  expect_ok(health_response, "GET /health");
  const WorkerHealth health = read_health(health_response.body, worker.url + "/health");
  check_numerics(worker, health);
  if (health.weights && health.weights->epoch > label_.epoch) {
    throw Refused("a learner that started later (run " + health.weights->learner.substr(0, 16) +
                  "…) has taken it");
  }
  const bool is_there = health.weights && health.weights->sha256 == label_.sha256 &&
                        health.weights->epoch == label_.epoch;
  if (!is_there) {
    const HttpResponse response =
        client.send({.method = "PUT",
                     .target = std::string(kWeightsPath) + std::to_string(label_.version),
                     .headers = {{kLearnerHeader, label_.learner},
                                 {kEpochHeader, std::to_string(label_.epoch)},
                                 {kSha256Header, label_.sha256}},
                     .body_file = config_.publish_directory / "model.safetensors",
                     .idempotent = true,
                     .response_seconds = kAnyLength});
    expect_ok(response, "PUT " + std::string(kWeightsPath) + std::to_string(label_.version));
  }
  found(worker);
}

// Waits for something to do; nullptr when the call is over.
RemoteEngine::Call::Unit* RemoteEngine::Call::take(Worker& worker) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (over_ || failure_) return nullptr;
    if (!pending_.empty()) {
      const std::size_t workers = std::max<std::size_t>(1, num_at_hand());
      const std::size_t count = (pending_.size() + workers - 1) / workers;
      auto unit = std::make_unique<Unit>();
      unit->indices.assign(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
      unit->worker = &worker;
      unit->start = Clock::now();
      for (const std::size_t i : unit->indices) ++holders_[i];
      flights_.push_back(std::move(unit));
      return flights_.back().get();
    }
    if (Unit* unit = take_from_slow(worker)) return unit;
    changed_.wait_for(lock, Seconds(0.2));
  }
}

// With mutex_ held: the groups of the unit that has been out longest, if that is more than twice as
// long as such a number of groups has taken so far.
RemoteEngine::Call::Unit* RemoteEngine::Call::take_from_slow(Worker& worker) {
  if (num_answered_ == 0) return nullptr;
  const double each = group_seconds_ / static_cast<double>(num_answered_);
  for (const auto& slow : flights_) {
    if (slow->shared || slow->worker == &worker) continue;
    const Seconds out = Clock::now() - slow->start;
    const double usual = each * static_cast<double>(slow->indices.size());
    if (out.count() < std::max(0.5, 2.0 * usual)) continue;
    auto unit = std::make_unique<Unit>();
    for (const std::size_t i : slow->indices) {
      if (!done_[i]) unit->indices.push_back(i);
    }
    if (unit->indices.empty()) continue;
    slow->shared = true;
    unit->shared = true;
    unit->worker = &worker;
    unit->start = Clock::now();
    for (const std::size_t i : unit->indices) ++holders_[i];
    note("worker " + worker.url + " samples again what " + slow->worker->url + " is slow with");
    flights_.push_back(std::move(unit));
    return flights_.back().get();
  }
  return nullptr;
}

std::vector<Group> RemoteEngine::Call::ask(HttpClient& client, const Unit& unit) {
  RolloutsRequest request{.weights_sha256 = label_.sha256,
                          .policy_version = label_.version,
                          .sampling = sampling_,
                          .requests = {}};
  for (const std::size_t i : unit.indices) request.requests.push_back(requests_[i]);
  std::string body = write_rollouts_request(request);
  HttpHeaders headers{{"Content-Type", "application/json"}, {kSha256Header, sha256_hex(body)}};
  const HttpResponse response = client.send({.method = "POST",
                                             .target = std::string(kRolloutsPath),
                                             .headers = std::move(headers),
                                             .body = std::move(body),
                                             .idempotent = true,
                                             .response_seconds = kAnyLength});
  expect_ok(response, "POST /v1/rollouts");
  const std::string* hash = response.headers.find(kSha256Header);
  const std::string actual = sha256_hex(response.body);
  if (hash == nullptr || *hash != actual) {
    throw InputError({.source = "POST /v1/rollouts",
                      .field = kSha256Header,
                      .expected = hash == nullptr ? "the body's hash" : *hash,
                      .actual = hash == nullptr ? "nothing" : actual});
  }
  return read_groups(response.body, request, "POST /v1/rollouts");
}

void RemoteEngine::Call::deliver(Worker& worker, Unit& unit, std::vector<Group> groups) {
  const std::lock_guard lock(mutex_);
  group_seconds_ += Seconds(Clock::now() - unit.start).count();
  num_answered_ += unit.indices.size();
  for (std::size_t k = 0; k < unit.indices.size(); ++k) {
    const std::size_t index = unit.indices[k];
    --holders_[index];
    if (done_[index]) {
      std::string first, second;
      append_group_record(first, groups_[index]);
      append_group_record(second, groups[k]);
      if (first != second && !failure_) {
        failure_ = std::make_exception_ptr(std::runtime_error(
            "worker " + worker.url + " and another gave two answers to one request (step " +
            std::to_string(requests_[index].step) + ", problem " +
            std::to_string(requests_[index].problem) + "): one numerics is broken"));
      }
      continue;
    }
    groups_[index] = std::move(groups[k]);
    done_[index] = true;
    --left_;
    arrived_.push_back(index);
  }
  std::erase_if(flights_, [&](const auto& flight) { return flight.get() == &unit; });
  changed_.notify_all();
}

void RemoteEngine::Call::give_back(Unit& unit) {
  const std::lock_guard lock(mutex_);
  for (const std::size_t index : unit.indices) {
    if (--holders_[index] == 0 && !done_[index]) pending_.push_front(index);
  }
  std::erase_if(flights_, [&](const auto& flight) { return flight.get() == &unit; });
  changed_.notify_all();
}

RemoteEngine::RemoteEngine(const PackedPolicy& policy, RemoteEngineConfig config)
    : policy_(policy), config_(std::move(config)) {
  if (config_.workers.empty()) throw std::invalid_argument("remote engine: no workers");
  config_.http.max_body_bytes = std::max(config_.http.max_body_bytes, std::uint64_t{1} << 32);
  for (const std::string& url : config_.workers)
    workers_.push_back(std::make_unique<Worker>(url, config_.http));
}

RemoteEngine::~RemoteEngine() {
  std::error_code ignored;
  fs::remove_all(config_.publish_directory, ignored);
}

void RemoteEngine::publish_version() {
  if (label_.version == policy_.version()) return;
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
  publish_version();
  Call call(*this, requests, sampling);
  return call.collect(on_group);
}

}  // namespace zeroth
