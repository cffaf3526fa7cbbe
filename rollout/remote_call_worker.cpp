// A worker's two threads in a call: one pulls groups and has them sampled, one watches whether the
// worker lives.
#include <algorithm>
#include <stdexcept>

#include "policy/published_policy.h"
#include "rollout/group_check.h"
#include "rollout/remote_call.h"
#include "rollout/worker_answer.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kFirstRetry{0.1};
constexpr Seconds kLongestRetry{2.0};
constexpr double kAnyLength = 1e9;  // an answer takes as long as it takes; watch() looks after it

// The call has ended.
struct Over : std::exception {};

HttpClientConfig heartbeat_config(const RemoteEngineConfig& config) {
  HttpClientConfig http = config.http;
  http.connect_seconds = std::min(http.connect_seconds, config.lost_seconds / 2);
  http.response_seconds = config.lost_seconds / 2;
  http.stall_seconds = config.lost_seconds / 2;
  return http;
}

}  // namespace

RemoteEngine::Worker::Worker(std::string worker_url, const RemoteEngineConfig& config)
    : url(std::move(worker_url)),
      client(url, config.http),
      heartbeat(url, heartbeat_config(config)) {}

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
    } catch (const WorkerRefused& refused) {
      give_back(unit);
      if (refuse(worker, refused.what())) return;
    } catch (const WorkerTooLarge& error) {
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
    if (error.kind() == HttpError::Kind::too_large) throw WorkerTooLarge(error.what());
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
    throw WorkerRefused("a learner that started later (run " +
                        health.weights->learner.substr(0, 16) + "…) has taken it");
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
  if (!config_.allow_mixed_numerics) throw WorkerRefused(text);
  const std::lock_guard lock(mutex_);
  if (!std::exchange(worker.numerics_noted, true))
    note("worker " + worker.url + ": " + text + "; allowed");
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

}  // namespace zeroth
