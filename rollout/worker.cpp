#include "rollout/worker.h"

#include <set>
#include <stdexcept>
#include <utility>

#include "rollout/worker_impl.h"
#include "rollout/worker_request.h"
#include "system/file.h"

namespace zeroth {

namespace fs = std::filesystem;

namespace {

constexpr const char* kGenerateScope = "generate";
constexpr const char* kPublishScope = "publish";
constexpr const char* kMetricsScope = "metrics";

bool same(const WeightsLabel& a, const WeightsLabel& b) {
  return a.epoch == b.epoch && a.version == b.version && a.sha256 == b.sha256;
}

std::string text_of(const WeightsLabel& label) {
  return "version " + std::to_string(label.version) + " of the learner started at " +
         std::to_string(label.epoch);
}

}  // namespace

HttpResponse with_hash(HttpResponse response) {
  response.headers.add(kSha256Header, sha256_hex(response.body));
  return response;
}

RolloutWorker::Impl::Impl(WorkerBackend& backend, WorkerConfig config,
                          std::function<void(const std::string&)> note)
    : backend_(backend), config_(std::move(config)), note_(std::move(note)) {
  fs::create_directories(config_.staging_directory);
  staging_lock_.emplace(config_.staging_directory);
  empty_staging(config_.staging_directory);
  fs::permissions(config_.staging_directory, fs::perms::owner_all);
  thread_ = std::thread([this] { work(); });
}

RolloutWorker::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  queue_.clear();
  std::error_code ignored;
  fs::remove_all(config_.staging_directory, ignored);
}

// -- What is asked

void RolloutWorker::Impl::authorize(const HttpHead& head, const char* scope) const {
  if (config_.open) return;
  const auto token = head.bearer_token();
  const std::set<std::string> scopes =
      token ? config_.tokens.scopes_of(*token) : std::set<std::string>();
  if (scopes.empty()) {
    HttpResponse response = error_response(
        kUnauthorized, token ? "the bearer token is not known here" : "expected a bearer token",
        "Authorization");
    response.headers.add("WWW-Authenticate", "Bearer");
    throw HttpRefusal(std::move(response));
  }
  if (scopes.contains(scope)) return;
  throw HttpRefusal(kForbidden, std::string("the token has no scope ") + scope, "Authorization");
}

HttpDecision RolloutWorker::Impl::on_head(const HttpHead& head) {
  const auto require_method = [&](const char* method) {
    if (head.method == method) return;
    HttpResponse response = error_response(
        kMethodNotAllowed, head.path + ": expected " + method + ", got " + head.method);
    response.headers.add("Allow", method);
    throw HttpRefusal(std::move(response));
  };
  if (head.path == kHealthPath) {
    require_method("GET");
    return HttpAcceptBody{.max_body_bytes = 0};
  }
  if (head.path == kMetricsPath) {
    require_method("GET");
    authorize(head, kMetricsScope);
    return HttpAcceptBody{.max_body_bytes = 0};
  }
  if (head.path == kRolloutsPath) {
    require_method("POST");
    authorize(head, kGenerateScope);
    return HttpAcceptBody{.max_body_bytes = config_.max_request_bytes};
  }
  if (head.path.starts_with(kWeightsPath)) {
    require_method("PUT");
    authorize(head, kPublishScope);
    return accept_weights(head);
  }
  throw HttpRefusal(kNotFound, head.path + ": expected " + std::string(kRolloutsPath) + ", " +
                                   std::string(kWeightsPath) + "{version}, " +
                                   std::string(kHealthPath) + " or " + std::string(kMetricsPath));
}

HttpDecision RolloutWorker::Impl::accept_weights(const HttpHead& head) {
  const WeightsLabel label = label_of(head);
  if (!head.content_length)
    throw HttpRefusal(kLengthRequired, "Content-Length: expected the file's size",
                      "Content-Length");
  if (*head.content_length > config_.max_weights_bytes) {
    throw HttpRefusal(kTooLarge,
                      "expected at most max_weights_bytes (" +
                          std::to_string(config_.max_weights_bytes) + "), got " +
                          std::to_string(*head.content_length),
                      "Content-Length");
  }
  {
    const std::lock_guard lock(mutex_);
    check_fence(label);
  }
  if (!upload_.expired()) throw HttpRefusal(kUnavailable, "other weights are on their way");
  try {
    auto upload = std::make_shared<WeightsUpload>(
        upload_directory(config_.staging_directory, ++num_uploads_));
    upload_ = upload;
    return HttpStreamBody{.sink = std::move(upload), .max_body_bytes = config_.max_weights_bytes};
  } catch (const fs::filesystem_error& error) {
    throw HttpRefusal(kNoSpace, error.what());
  }
}

// With mutex_ held: weights of an older learner, or older ones of the same, are refused.
void RolloutWorker::Impl::check_fence(const WeightsLabel& label) const {
  if (!weights_ || same(label, *weights_) || label.epoch > weights_->epoch) return;
  if (label.epoch == weights_->epoch && label.version > weights_->version) return;
  throw HttpRefusal(kConflict,
                    text_of(label) + " does not come after what is here, " + text_of(*weights_),
                    "version");
}

// With mutex_ held.
void RolloutWorker::Impl::check_holds(const RolloutsRequest& request) const {
  if (weights_ && weights_->sha256 == request.weights_sha256) return;
  throw HttpRefusal(kConflict,
                    "expected the hash of the weights that are here (" +
                        (weights_ ? weights_->sha256 + ", " + text_of(*weights_) : "none yet") +
                        "), got " + request.weights_sha256.substr(0, 64),
                    "weights_sha256");
}

void RolloutWorker::Impl::on_request(HttpRequest request, HttpResponder responder) {
  const HttpHead& head = request.head;
  if (head.path == kHealthPath)
    return responder.answer(with_hash(json_response(200, write_health(health()))));
  if (head.path == kMetricsPath) {
    return responder.answer({.status = 200,
                             .headers = {{"Content-Type", "text/plain; version=0.0.4"}},
                             .body = metrics()});
  }
  if (request.sink) {
    return enqueue({.responder = std::move(responder),
                    .rollouts = {},
                    .upload = std::dynamic_pointer_cast<WeightsUpload>(std::move(request.sink)),
                    .label = label_of(head),
                    .sha256 = {},
                    .groups = {}});
  }
  const std::string& expected = required_sha256(head, kSha256Header);
  if (const std::string actual = sha256_hex(request.body); actual != expected) {
    throw HttpRefusal(kUnprocessable, "expected a body of hash " + expected + ", got " + actual,
                      kSha256Header);
  }
  Job job{.responder = std::move(responder),
          .rollouts = read_rollouts_request(request.body, "request"),
          .upload = nullptr,
          .label = {},
          .sha256 = expected,
          .groups = {}};
  const auto refuse_above = [](std::int64_t most, std::int64_t actual, const std::string& what) {
    if (actual <= most) return;
    throw HttpRefusal(
        kTooLarge,
        "expected at most " + std::to_string(most) + " " + what + ", got " + std::to_string(actual),
        "requests");
  };
  const Cost cost = cost_of(job);
  refuse_above(config_.max_tokens, cost.tokens, "tokens (completions times max_new_tokens)");
  refuse_above(config_.max_completions, cost.completions, "completions");
  enqueue(std::move(job));
}

RolloutWorker::Impl::Cost RolloutWorker::Impl::cost_of(const Job& job) {
  if (!job.rollouts) return {};
  return {.tokens = most_tokens(*job.rollouts), .completions = num_completions(*job.rollouts)};
}

// With mutex_ held.
bool RolloutWorker::Impl::has_room_for(const Cost& cost) const {
  return queue_.size() < config_.max_queue && queued_.tokens <= config_.max_tokens - cost.tokens &&
         queued_.completions <= config_.max_completions - cost.completions;
}

void RolloutWorker::Impl::enqueue(Job job) {
  std::optional<HttpResponse> refusal;
  {
    const std::lock_guard lock(mutex_);
    try {
      if (job.rollouts) check_holds(*job.rollouts);
      const Cost cost = cost_of(job);
      if (!has_room_for(cost)) {
        throw HttpRefusal(kUnavailable,
                          "the queue is full (" + std::to_string(queue_.size()) + " requests)");
      }
      queue_.push_back(std::move(job));
      queued_.tokens += cost.tokens;
      queued_.completions += cost.completions;
    } catch (const HttpRefusal& error) {
      ++counters_.refused;
      refusal = error.response();
    }
  }
  if (refusal) return answer(job, *std::move(refusal));
  wake_.notify_one();
}

WorkerHealth RolloutWorker::Impl::health() const {
  const std::lock_guard lock(mutex_);
  return {.version = config_.version,
          .isa = config_.isa,
          .numerics = config_.numerics,
          .weights = weights_,
          .queued = static_cast<std::int64_t>(queue_.size())};
}

std::string RolloutWorker::Impl::metrics() const {
  const std::lock_guard lock(mutex_);
  return worker_metrics(counters_, queue_.size(), weights_ ? weights_->version : -1);
}

// -- The public class

std::vector<std::string> worker_scopes() {
  return {kGenerateScope, kPublishScope, kMetricsScope};
}

RolloutWorker::RolloutWorker(WorkerBackend& backend, WorkerConfig config,
                             std::function<void(const std::string&)> note)
    : impl_(std::make_unique<Impl>(backend, std::move(config), std::move(note))) {}

RolloutWorker::~RolloutWorker() = default;

HttpDecision RolloutWorker::on_head(const HttpHead& head) {
  return impl_->on_head(head);
}

void RolloutWorker::on_request(HttpRequest request, HttpResponder responder) {
  impl_->on_request(std::move(request), std::move(responder));
}

}  // namespace zeroth
