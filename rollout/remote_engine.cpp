#include "rollout/remote_engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "policy/published_policy.h"
#include "rollout/group_record.h"
#include "rollout/request_check.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds kFirstRetry{0.1};
constexpr Seconds kLongestRetry{2.0};
constexpr double kAnyLength = 1e9;  // an answer takes as long as it takes; watch() looks after it
constexpr int kFailuresInARow = 3;  // of a worker that is at hand no more
constexpr int kRefusalsInARow = 3;  // that are believed: what is damaged may read like a refusal
constexpr std::size_t kLongestMessage = 300;

// A worker that will not serve this learner however often it is asked.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// More groups in one request than the worker takes, or the client in one answer.
struct TooLarge : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The call has ended.
struct Over : std::exception {};

// The message of {"error":{"message":…}}, or the body's beginning, fit for a terminal.
std::string message_of(const HttpResponse& response) {
  std::string text = response.body.substr(0, std::size_t{64} << 10);
  try {
    text = JsonReader::parse(text, "answer").child("error").get_string("message");
  } catch (const InputError&) {  // whoever answers, it is no worker
  }
  text.resize(std::min(text.size(), kLongestMessage));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

// Throws for any answer but 200.
void expect_ok(const HttpResponse& response, const std::string& what) {
  if (response.status == 200) return;
  const std::string text =
      what + ": " + std::to_string(response.status) + " " + message_of(response);
  if (response.status == 401 || response.status == 403) throw Refused(text);
  if (response.status == 413) throw TooLarge(text);
  throw std::runtime_error(text);
}

void expect_header(const HttpResponse& response, const char* name, const std::string& expected,
                   const std::string& source) {
  const std::string* actual = response.headers.find(name);
  if (actual != nullptr && *actual == expected) return;
  throw InputError({.source = source,
                    .field = name,
                    .expected = expected,
                    .actual = actual == nullptr ? "nothing" : *actual});
}

// Experts that are recorded of one token.
std::size_t experts_per_token(const ModelConfig& config) {
  std::int64_t experts = 0;
  for (const LayerConfig& layer : config.layers) {
    if (layer.ffn.kind == FfnKind::moe) experts += layer.ffn.num_experts_per_tok;
  }
  return static_cast<std::size_t>(experts);
}

std::int64_t fewest_experts(const ModelConfig& config) {
  std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
  for (const LayerConfig& layer : config.layers) {
    if (layer.ffn.kind == FfnKind::moe) fewest = std::min(fewest, layer.ffn.num_experts);
  }
  return fewest;
}

// Whether groups can be this model's: what the learner indexes with must be in range, whoever sent
// it.
class GroupCheck {
 public:
  GroupCheck(const ModelConfig& config, const SamplingParams& sampling, std::string source)
      : config_(config),
        sampling_(sampling),
        source_(std::move(source)),
        experts_per_token_(experts_per_token(config)),
        fewest_experts_(fewest_experts(config)) {}

  void check(const Group& group, const GenerateRequest& request) const {
    check_experts(group.prompt_experts, request.prompt.size(), "prompt_experts");
    for (const Completion& completion : group.completions) {
      check_experts(completion.experts, completion.tokens.size() - 1, "experts");
      check_tokens(completion);
    }
  }

 private:
  void check_experts(const std::vector<std::uint16_t>& experts, std::size_t tokens,
                     const char* field) const {
    if (experts.size() != tokens * experts_per_token_)
      fail(field, std::to_string(tokens * experts_per_token_) + " of them",
           std::to_string(experts.size()));
    for (const std::uint16_t expert : experts) {
      if (expert >= fewest_experts_)
        fail(field, "below " + std::to_string(fewest_experts_), std::to_string(expert));
    }
  }

  void check_tokens(const Completion& completion) const {
    for (const std::int32_t token : completion.tokens) {
      if (token < 0 || token >= config_.vocab_size)
        fail("tokens", "0 to " + std::to_string(config_.vocab_size - 1), std::to_string(token));
    }
    for (const float logprob : completion.logprobs) {
      if (std::isnan(logprob)) fail("logprobs", "numbers", "NaN");
    }
    for (const float logprob : completion.sampling_logprobs) {
      if (std::isnan(logprob)) fail("sampling_logprobs", "numbers", "NaN");
    }
    const auto& ends = config_.eos_token_ids;
    const bool stops = std::find(ends.begin(), ends.end(), completion.tokens.back()) != ends.end();
    const bool is_full =
        static_cast<std::int64_t>(completion.tokens.size()) == sampling_.max_new_tokens;
    const bool by_length = completion.stop_reason == StopReason::length;
    if (by_length ? !is_full : !stops) {
      fail("stop_reason", "one that the tokens bear out",
           std::string(by_length ? "length" : "end of sequence"));
    }
  }

  [[noreturn]] void fail(const char* field, const std::string& expected,
                         const std::string& actual) const {
    throw InputError({.source = source_, .field = field, .expected = expected, .actual = actual});
  }

  const ModelConfig& config_;
  const SamplingParams& sampling_;
  const std::string source_;
  const std::size_t experts_per_token_;
  const std::int64_t fewest_experts_;
};

HttpClientConfig heartbeat_config(const RemoteEngineConfig& config) {
  HttpClientConfig http = config.http;
  http.connect_seconds = std::min(http.connect_seconds, config.lost_seconds / 2);
  http.response_seconds = config.lost_seconds / 2;
  http.stall_seconds = config.lost_seconds / 2;
  return http;
}

}  // namespace

struct RemoteEngine::Worker {
  Worker(std::string worker_url, const RemoteEngineConfig& config)
      : url(std::move(worker_url)),
        client(url, config.http),
        heartbeat(url, heartbeat_config(config)) {}

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
  Clock::time_point heard;
};

// One generate(): for each worker a thread that pulls and one that watches, and the caller's, which
// hands out what has come.
class RemoteEngine::Call {
 public:
  Call(RemoteEngine& engine, std::span<const GenerateRequest> requests,
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
  ~Call() {
    end();
    for (std::thread& thread : threads_) thread.join();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  std::vector<Group> collect(const GroupSink& on_group);

 private:
  struct Unit {
    std::vector<std::size_t> indices;
    Clock::time_point start;
    Worker* worker = nullptr;
  };

  void start();
  void end();
  void hand_out(const GroupSink& on_group, std::unique_lock<std::mutex>& lock);
  void check_workers();
  std::size_t num_at_hand() const;
  std::string problems() const;

  void serve(Worker& worker);
  void prepare(Worker& worker);
  void check_numerics(Worker& worker, const WorkerHealth& health);
  Unit* take(Worker& worker);
  Unit* take_from_slow(Worker& worker);
  Unit* hold(Worker& worker, std::vector<std::size_t> indices);
  std::vector<Group> ask(Worker& worker, const Unit& unit);
  HttpResponse send(Worker& worker, const HttpClientRequest& request);
  void deliver(Worker& worker, Unit& unit, std::vector<Group> groups);
  void give_back(Unit* unit);
  bool take_fewer(Worker& worker, std::size_t than);
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

// -- The caller's thread

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

// -- A worker's thread that pulls

void RemoteEngine::Call::serve(Worker& worker) {
  Seconds retry = kFirstRetry;
  for (;;) {
    Unit* unit = nullptr;
    try {
      prepare(worker);
      unit = take(worker);
      if (unit == nullptr) return;
      deliver(worker, *unit, ask(worker, *unit));
      retry = kFirstRetry;
      continue;
    } catch (const Over&) {
      return give_back(unit);
    } catch (const Refused& refused) {
      give_back(unit);
      if (refuse(worker, refused.what())) return;
    } catch (const TooLarge& error) {
      const std::size_t groups = unit == nullptr ? 0 : unit->indices.size();
      give_back(unit);
      if (take_fewer(worker, groups)) continue;
      if (refuse(worker, error.what())) return;
    } catch (const std::exception& error) {  // HttpError, InputError: the wire or its other end
      give_back(unit);
      lose(worker, error.what());
    }
    if (!pause(retry)) return;
    retry = std::min(retry * 2, kLongestRetry);
  }
}

// False when the call is over.
bool RemoteEngine::Call::pause(Seconds seconds) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, seconds, [&] { return over_; });
}

void RemoteEngine::Call::lose(Worker& worker, const std::string& problem) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  const bool is_news = worker.at_hand && worker.failures < kFailuresInARow;
  if (is_news || worker.problem != problem) {
    note("worker " + worker.url + " is lost: " + problem);
    worker.lost = true;
  }
  if (worker.at_hand) ++worker.failures;
  worker.at_hand = false;
  worker.prepared = false;
  worker.problem = problem;
  changed_.notify_all();
}

// Whether it is for good.
bool RemoteEngine::Call::refuse(Worker& worker, const std::string& problem) {
  const std::lock_guard lock(mutex_);
  worker.at_hand = false;
  worker.prepared = false;
  worker.problem = problem;
  worker.refused = ++worker.refusals == kRefusalsInARow;
  if (worker.refused) note("worker " + worker.url + " is refused: " + problem);
  changed_.notify_all();
  return worker.refused;
}

// The worker answers; weights may take long to come to it.
void RemoteEngine::Call::reached(Worker& worker) {
  const std::lock_guard lock(mutex_);
  worker.at_hand = true;
  changed_.notify_all();
}

void RemoteEngine::Call::prepared(Worker& worker) {
  const std::lock_guard lock(mutex_);
  worker.prepared = true;
  if (worker.failures >= kFailuresInARow) return;  // it has to answer something first
  if (std::exchange(worker.lost, false)) note("worker " + worker.url + " is back");
  changed_.notify_all();
}

// Sends on the worker's connection and lets watch() see to it that it lives.
HttpResponse RemoteEngine::Call::send(Worker& worker, const HttpClientRequest& request) {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || failure_) throw Over();
    worker.sending = true;
    worker.given_up.clear();
    worker.heard = Clock::now();
  }
  const auto end_sending = [&] {
    const std::lock_guard lock(mutex_);
    worker.sending = false;
    if (!worker.given_up.empty()) worker.client.renew();
    return over_;
  };
  try {
    HttpResponse response = worker.client.send(request);
    if (end_sending()) throw Over();
    return response;
  } catch (const Over&) {
    throw;
  } catch (const HttpError& error) {
    if (end_sending()) throw Over();
    if (!worker.given_up.empty()) throw std::runtime_error(worker.given_up);
    if (error.kind() == HttpError::Kind::too_large) throw TooLarge(error.what());
    throw;
  } catch (...) {
    end_sending();
    throw;
  }
}

// Leaves the worker with this call's weights.
void RemoteEngine::Call::prepare(Worker& worker) {
  {
    const std::lock_guard lock(mutex_);
    if (worker.prepared) return;
  }
  const std::string source = worker.url + std::string(kHealthPath);
  const HttpResponse answer = send(worker, {.target = std::string(kHealthPath),
                                            .idempotent = true,
                                            .response_seconds = config_.lost_seconds});
  expect_ok(answer, "GET " + std::string(kHealthPath));
  expect_header(answer, kSha256Header, sha256_hex(answer.body), source);
  const WorkerHealth health = read_health(answer.body, source);
  check_numerics(worker, health);
  if (health.weights && health.weights->epoch > label_.epoch) {
    throw Refused("a learner that started later (run " + health.weights->learner.substr(0, 16) +
                  "…) has taken it");
  }
  reached(worker);
  const bool is_there = health.weights && health.weights->sha256 == label_.sha256 &&
                        health.weights->epoch == label_.epoch;
  if (!is_there) {
    const std::string target = std::string(kWeightsPath) + std::to_string(label_.version);
    const HttpResponse taken =
        send(worker, {.method = "PUT",
                      .target = target,
                      .headers = {{kLearnerHeader, label_.learner},
                                  {kEpochHeader, std::to_string(label_.epoch)},
                                  {kSha256Header, label_.sha256},
                                  {kLabelHeader, label_sha256(label_)}},
                      .body_file = config_.publish_directory / "model.safetensors",
                      .idempotent = true,
                      .response_seconds = kAnyLength});
    expect_ok(taken, "PUT " + target);
    expect_header(taken, kAnswersHeader, label_sha256(label_), worker.url + target);
  }
  prepared(worker);
}

void RemoteEngine::Call::check_numerics(Worker& worker, const WorkerHealth& health) {
  const auto found = health.numerics.find(dtype_);
  const std::string theirs = found == health.numerics.end() ? "none" : found->second;
  if (theirs == config_.numerics) return;
  const std::string text = "numerics: expected " + config_.numerics + ", the learner's, got " +
                           theirs + " (zeroth " + health.version + ", " + health.isa + ")";
  if (!config_.allow_mixed_numerics) throw Refused(text);
  const std::lock_guard lock(mutex_);
  if (!std::exchange(worker.numerics_noted, true))
    note("worker " + worker.url + ": " + text + "; allowed");
}

// Waits for something to do; nullptr when the call is over.
RemoteEngine::Call::Unit* RemoteEngine::Call::take(Worker& worker) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (over_ || failure_) return nullptr;
    if (!pending_.empty()) {
      const std::size_t workers = std::max<std::size_t>(1, num_at_hand());
      const std::size_t share = (pending_.size() + workers - 1) / workers;
      const auto end =
          pending_.begin() + static_cast<std::ptrdiff_t>(std::min(share, worker.most_groups));
      std::vector<std::size_t> indices(pending_.begin(), end);
      pending_.erase(pending_.begin(), end);
      return hold(worker, std::move(indices));
    }
    if (Unit* unit = take_from_slow(worker)) return unit;
    changed_.wait_for(lock, Seconds(0.2));
  }
}

// With mutex_ held: groups of a unit that has been out for more than twice as long as so many
// groups have taken so far; for groups that two hold already, four times that, and so on. Before
// anything has come nobody knows what is slow, and lost_seconds have to do.
RemoteEngine::Call::Unit* RemoteEngine::Call::take_from_slow(Worker& worker) {
  for (const auto& slow : flights_) {
    const double out = Seconds(Clock::now() - slow->start).count();
    double patience = config_.lost_seconds;
    if (num_answered_ > 0) {
      const double each = group_seconds_ / static_cast<double>(num_answered_);
      patience = std::max(0.5, 2.0 * each * static_cast<double>(slow->indices.size()));
    }
    std::vector<std::size_t> indices;
    for (const std::size_t i : slow->indices) {
      const bool is_due = out > patience * std::pow(4.0, holders_[i] - 1);
      if (is_due && answered_by_[i] == nullptr && indices.size() < worker.most_groups)
        indices.push_back(i);
    }
    if (indices.empty()) continue;
    note("worker " + worker.url + " samples again what " + slow->worker->url + " is slow with");
    return hold(worker, std::move(indices));
  }
  return nullptr;
}

// With mutex_ held.
RemoteEngine::Call::Unit* RemoteEngine::Call::hold(Worker& worker,
                                                   std::vector<std::size_t> indices) {
  for (const std::size_t i : indices) ++holders_[i];
  flights_.push_back(std::make_unique<Unit>(
      Unit{.indices = std::move(indices), .start = Clock::now(), .worker = &worker}));
  return flights_.back().get();
}

std::vector<Group> RemoteEngine::Call::ask(Worker& worker, const Unit& unit) {
  RolloutsRequest request{.weights_sha256 = label_.sha256,
                          .policy_version = label_.version,
                          .sampling = sampling_,
                          .requests = {}};
  for (const std::size_t i : unit.indices) request.requests.push_back(requests_[i]);
  std::string body = write_rollouts_request(request);
  const std::string hash = sha256_hex(body);
  const HttpResponse response =
      send(worker, {.method = "POST",
                    .target = std::string(kRolloutsPath),
                    .headers = {{"Content-Type", "application/json"}, {kSha256Header, hash}},
                    .body = std::move(body),
                    .idempotent = true,
                    .response_seconds = kAnyLength});
  expect_ok(response, "POST " + std::string(kRolloutsPath));
  const std::string source = worker.url + std::string(kRolloutsPath);
  expect_header(response, kAnswersHeader, hash, source);
  expect_header(response, kSha256Header, sha256_hex(response.body), source);
  std::vector<Group> groups = read_groups(response.body, request, source);
  const GroupCheck check(model_, sampling_, source);
  for (std::size_t k = 0; k < groups.size(); ++k) check.check(groups[k], request.requests[k]);
  return groups;
}

void RemoteEngine::Call::deliver(Worker& worker, Unit& unit, std::vector<Group> groups) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  group_seconds_ += Seconds(Clock::now() - unit.start).count();
  num_answered_ += unit.indices.size();
  worker.failures = 0;
  worker.refusals = 0;
  if (std::exchange(worker.lost, false)) note("worker " + worker.url + " is back");
  worker.problem.clear();
  for (std::size_t k = 0; k < unit.indices.size(); ++k) {
    const std::size_t index = unit.indices[k];
    --holders_[index];
    if (const Worker* other = answered_by_[index]) {
      std::string first, second;
      append_group_record(first, groups_[index]);
      append_group_record(second, groups[k]);
      if (first != second && !failure_) {
        failure_ = std::make_exception_ptr(std::runtime_error(
            "workers " + other->url + " and " + worker.url +
            " gave two answers to one request (step " + std::to_string(requests_[index].step) +
            ", problem " + std::to_string(requests_[index].problem) + "): one of them is broken"));
      }
      continue;
    }
    groups_[index] = std::move(groups[k]);
    answered_by_[index] = &worker;
    --left_;
    arrived_.push_back(index);
  }
  std::erase_if(flights_, [&](const auto& flight) { return flight.get() == &unit; });
  changed_.notify_all();
}

// `unit` may be none.
void RemoteEngine::Call::give_back(Unit* unit) {
  if (unit == nullptr) return;
  const std::lock_guard lock(mutex_);
  for (const std::size_t index : unit->indices) {
    if (--holders_[index] == 0 && answered_by_[index] == nullptr) pending_.push_front(index);
  }
  std::erase_if(flights_, [&](const auto& flight) { return flight.get() == unit; });
  changed_.notify_all();
}

// False when it takes not even one group.
bool RemoteEngine::Call::take_fewer(Worker& worker, std::size_t than) {
  if (than < 2) return false;
  const std::lock_guard lock(mutex_);
  worker.most_groups = than / 2;
  note("worker " + worker.url + " takes no request of " + std::to_string(than) +
       " groups; it gets " + std::to_string(worker.most_groups));
  return true;
}

// -- A worker's thread that watches

// Asks a worker that is sent to whether it lives. Its health is answered by another thread than
// samples, so silence means that the machine, the process or the way to it is gone.
void RemoteEngine::Call::watch(Worker& worker) {
  const Seconds interval(std::min(1.0, config_.lost_seconds / 4));
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, interval, [&] { return over_ || worker.refused; });
      if (over_ || worker.refused) return;
      if (!worker.sending) continue;
      worker.asking = true;
    }
    const bool lives = answers(worker);
    const std::lock_guard lock(mutex_);
    worker.asking = false;
    if (over_) return worker.heartbeat.renew();
    if (lives) worker.heard = Clock::now();
    if (!worker.sending || Seconds(Clock::now() - worker.heard).count() < config_.lost_seconds)
      continue;
    worker.given_up = "no answer to GET " + std::string(kHealthPath) + " for " +
                      json_number(config_.lost_seconds) + " s";
    worker.client.cancel();  // serve() gives the groups back
  }
}

bool RemoteEngine::Call::answers(Worker& worker) {
  try {
    return worker.heartbeat.send({.target = std::string(kHealthPath), .idempotent = true}).status ==
           200;
  } catch (const std::exception&) {
    return false;
  }
}

// -- The engine

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
