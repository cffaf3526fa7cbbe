#include "rollout/worker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kBadRequest = 400;
constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kMethodNotAllowed = 405;
constexpr int kConflict = 409;
constexpr int kLengthRequired = 411;
constexpr int kTooLarge = 413;
constexpr int kUnprocessable = 422;
constexpr int kInternalError = 500;
constexpr int kUnavailable = 503;
constexpr int kNoSpace = 507;

constexpr const char* kGenerateScope = "generate";
constexpr const char* kPublishScope = "publish";
constexpr const char* kMetricsScope = "metrics";

// Thrown through an engine whose answer nobody waits for.
struct GivenUp : std::exception {};

std::int64_t parse_int64(std::string_view text, const char* field) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  throw HttpRefusal(kBadRequest,
                    std::string(field) + ": expected a whole number of at least 0, got \"" +
                        std::string(text.substr(0, 40)) + "\"",
                    field);
}

const std::string& required_header(const HttpHead& head, const char* name) {
  const std::string* value = head.headers.find(name);
  if (value == nullptr || head.headers.count(name) != 1) {
    throw HttpRefusal(kBadRequest, std::string(name) + ": expected one such header field", name);
  }
  return *value;
}

const std::string& required_sha256(const HttpHead& head, const char* name) {
  const std::string& value = required_header(head, name);
  if (value.size() != 64 || value.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw HttpRefusal(kBadRequest,
                      std::string(name) + ": expected 64 lower-case hexadecimal digits", name);
  }
  return value;
}

WeightsLabel label_of(const HttpHead& head) {
  WeightsLabel label{
      .learner = required_header(head, kLearnerHeader),
      .epoch = parse_int64(required_header(head, kEpochHeader), kEpochHeader),
      .version = parse_int64(std::string_view(head.path).substr(kWeightsPath.size()), "version"),
      .sha256 = required_sha256(head, kSha256Header)};
  const std::string& expected = required_sha256(head, kLabelHeader);
  if (const std::string actual = label_sha256(label); actual != expected) {
    throw HttpRefusal(kUnprocessable, "expected a label of hash " + expected + ", got " + actual,
                      kLabelHeader);
  }
  return label;
}

HttpResponse with_hash(HttpResponse response) {
  response.headers.add(kSha256Header, sha256_hex(response.body));
  return response;
}

bool same(const WeightsLabel& a, const WeightsLabel& b) {
  return a.epoch == b.epoch && a.version == b.version && a.sha256 == b.sha256;
}

std::string text_of(const WeightsLabel& label) {
  return "version " + std::to_string(label.version) + " of the learner started at " +
         std::to_string(label.epoch);
}

constexpr std::string_view kUploadPrefix = "upload-";

// Removes what a worker that was killed left in its staging directory.
void empty_staging(const fs::path& directory) {
  std::vector<fs::path> left_over;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (!entry.path().filename().string().starts_with(kUploadPrefix)) {
      throw InputError({.source = "staging directory",
                        .field = directory.string(),
                        .expected = "a directory that holds nothing but a worker's uploads",
                        .actual = entry.path().filename().string()});
    }
    left_over.push_back(entry.path());
  }
  for (const fs::path& path : left_over) fs::remove_all(path);
}

// Weights on their way to disk, gone when this is. Nothing of it is made durable: a worker that
// starts again knows nothing.
class Upload : public HttpBodySink {
 public:
  explicit Upload(fs::path directory) : directory_(std::move(directory)) {
    try {
      fs::create_directory(directory_);
      file_ = FileDescriptor(
          ::open(file().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
      if (!file_.is_open()) fail();
    } catch (...) {
      remove();
      throw;
    }
  }
  ~Upload() override { remove(); }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void abort() noexcept override {}
  const fs::path& directory() const { return directory_; }
  fs::path file() const { return directory_ / "model.safetensors"; }

 private:
  [[noreturn]] void fail() const {
    throw HttpRefusal(kNoSpace, file().string() + ": " + std::strerror(errno));
  }
  void remove() noexcept {
    std::error_code ignored;  // the next start empties the staging directory
    fs::remove_all(directory_, ignored);
  }

  fs::path directory_;
  FileDescriptor file_;
};

}  // namespace

class RolloutWorker::Impl {
 public:
  Impl(WorkerBackend& backend, WorkerConfig config, std::function<void(const std::string&)> note)
      : backend_(backend), config_(std::move(config)), note_(std::move(note)) {
    fs::create_directories(config_.staging_directory);
    staging_lock_.emplace(config_.staging_directory);
    empty_staging(config_.staging_directory);
    fs::permissions(config_.staging_directory, fs::perms::owner_all);
    thread_ = std::thread([this] { work(); });
  }

  ~Impl() {
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

  HttpDecision on_head(const HttpHead& head);
  void on_request(HttpRequest request, HttpResponder responder);

 private:
  struct Job {
    HttpResponder responder;
    std::optional<RolloutsRequest> rollouts;  // either this
    std::shared_ptr<Upload> upload;           // or these two
    WeightsLabel label;
    std::string sha256;         // of the request for rollouts
    std::vector<Group> groups;  // that answer it, as they finish
    std::size_t missing = 0;
    bool answered = false;
  };
  // What of a queue's limits a job takes.
  struct Cost {
    std::int64_t tokens = 0, completions = 0;
  };
  struct Counters {
    std::int64_t completions = 0, tokens = 0, groups = 0, rollouts = 0, given_up = 0, refused = 0;
    std::int64_t weights = 0, weights_bytes = 0;
    std::int64_t preemptions = 0, recomputed_tokens = 0;
    double generate_seconds = 0.0, load_seconds = 0.0;
  };

  void note(const std::string& text) const {
    if (note_) note_(text);
  }
  void authorize(const HttpHead& head, const char* scope) const;
  HttpDecision accept_weights(const HttpHead& head);
  void check_fence(const WeightsLabel& label) const;
  void check_holds(const RolloutsRequest& request) const;
  static Cost cost_of(const Job& job);
  bool has_room_for(const Cost& cost) const;
  void enqueue(Job job);
  std::string metrics() const;
  WorkerHealth health() const;

  void work();
  std::vector<Job> take_batch();
  void load(Job& job);
  void sample(std::vector<Job>& batch);
  void sample_now(std::span<Job> batch);
  void give_up(Job& job);
  void answer(Job& job, HttpResponse response);
  void answer_groups(Job& job);
  void refuse(Job& job, int status, const std::string& message);
  void refuse(Job& job, HttpResponse response);

  WorkerBackend& backend_;
  WorkerConfig config_;
  std::function<void(const std::string&)> note_;
  std::optional<DirectoryLock> staging_lock_;
  std::weak_ptr<Upload> upload_;  // the one there may be at a time; of the server's thread
  std::int64_t num_uploads_ = 0;

  mutable std::mutex mutex_;  // all below
  std::condition_variable wake_;
  std::deque<Job> queue_;
  Cost queued_;
  std::optional<WeightsLabel> weights_;
  Counters counters_;
  std::atomic<bool> stopping_ = false;

  std::thread thread_;  // last: it uses all of the above
};

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
    auto upload = std::make_shared<Upload>(
        config_.staging_directory / (std::string(kUploadPrefix) + std::to_string(++num_uploads_)));
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
                    .upload = std::dynamic_pointer_cast<Upload>(std::move(request.sink)),
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
  std::string text;
  const auto add = [&](const char* name, const char* type, const char* help, double value) {
    char number[40];
    std::snprintf(number, sizeof number, "%.17g", value);
    text += std::string("# HELP zeroth_worker_") + name + " " + help + "\n# TYPE zeroth_worker_" +
            name + " " + type + "\nzeroth_worker_" + name + " " + number + "\n";
  };
  const auto count = [&](const char* name, const char* help, std::int64_t value) {
    add(name, "counter", help, static_cast<double>(value));
  };
  count("completions_total", "Completions answered.", counters_.completions);
  count("tokens_total", "Tokens of the completions answered.", counters_.tokens);
  count("groups_total", "Groups answered.", counters_.groups);
  count("rollouts_total", "Requests for rollouts answered.", counters_.rollouts);
  count("given_up_total", "Requests for rollouts whose peer went away.", counters_.given_up);
  count("refused_total", "Requests refused after their body was read.", counters_.refused);
  count("preemptions_total", "Times a completion gave up its pages of the cache to others.",
        counters_.preemptions);
  count("recomputed_tokens_total", "Tokens fed again for it.", counters_.recomputed_tokens);
  count("weights_total", "Policy versions taken over.", counters_.weights);
  count("weights_bytes_total", "Bytes of the policy versions taken over.", counters_.weights_bytes);
  add("generate_seconds_total", "counter", "Seconds spent sampling.", counters_.generate_seconds);
  add("load_seconds_total", "counter", "Seconds spent taking over weights.",
      counters_.load_seconds);
  add("queue_requests", "gauge", "Requests that wait.", static_cast<double>(queue_.size()));
  add("policy_version", "gauge", "Version of the weights here; -1 without any.",
      weights_ ? static_cast<double>(weights_->version) : -1.0);
  return text;
}

void RolloutWorker::Impl::work() {
  for (;;) {
    std::vector<Job> batch = take_batch();
    if (batch.empty()) return;
    if (batch.front().upload) {
      load(batch.front());
    } else {
      sample(batch);
    }
  }
}

// The first job and, when it samples, those behind it that sample alike, up to the next weights.
std::vector<RolloutWorker::Impl::Job> RolloutWorker::Impl::take_batch() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  std::vector<Job> batch;
  if (stopping_) return batch;
  const auto alike = [&](const Job& job) {
    if (batch.empty()) return true;
    if (!job.rollouts || !batch.front().rollouts) return false;
    return job.rollouts->sampling == batch.front().rollouts->sampling;
  };
  while (!queue_.empty() && alike(queue_.front())) {
    const Cost cost = cost_of(queue_.front());
    queued_.tokens -= cost.tokens;
    queued_.completions -= cost.completions;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void RolloutWorker::Impl::load(Job& job) {
  const auto start = Clock::now();
  try {
    const fs::path file = job.upload->file();
    const std::string actual = sha256_hex_of_file(file);
    if (actual != job.label.sha256) {
      return refuse(job, kUnprocessable,
                    "expected weights of hash " + job.label.sha256 + ", got " + actual);
    }
    bool is_here = false;
    {
      const std::lock_guard lock(mutex_);
      check_fence(job.label);
      is_here = weights_ && weights_->sha256 == job.label.sha256;
    }
    if (!is_here) backend_.load(job.upload->directory());
    const auto bytes = static_cast<std::int64_t>(fs::file_size(file));
    {
      const std::lock_guard lock(mutex_);
      weights_ = job.label;
      ++counters_.weights;
      counters_.weights_bytes += bytes;
      counters_.load_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    }
    HttpResponse taken = with_hash(json_response(200, R"({"status":"ok"})"));
    taken.headers.add(kAnswersHeader, label_sha256(job.label));
    answer(job, std::move(taken));
  } catch (const HttpRefusal& refusal) {
    refuse(job, refusal.response());
  } catch (const InputError& error) {
    refuse(job, kUnprocessable, error.what());
  } catch (const std::invalid_argument& error) {  // a policy that this engine does not sample
    refuse(job, kUnprocessable, error.what());
  } catch (const std::exception& error) {
    refuse(job, kInternalError, error.what());
  }
}

void RolloutWorker::Impl::sample(std::vector<Job>& batch) {
  std::vector<Job> wanted;
  for (Job& job : batch) {
    if (job.responder.is_cancelled()) {
      give_up(job);
      continue;
    }
    try {
      const std::lock_guard lock(mutex_);
      check_holds(*job.rollouts);  // weights may have been taken over since it was queued
    } catch (const HttpRefusal& refusal) {
      refuse(job, refusal.response());
      continue;
    }
    wanted.push_back(std::move(job));
  }
  if (wanted.empty()) return;
  try {
    try {
      sample_now(wanted);
    } catch (const std::invalid_argument&) {  // what the policy cannot take: whose is it?
      if (wanted.size() == 1) throw;
      for (Job& job : wanted) {
        try {
          if (!job.answered) sample_now(std::span(&job, 1));
        } catch (const std::invalid_argument& error) {
          refuse(job, kUnprocessable, error.what());
        }
      }
    }
  } catch (const GivenUp&) {
    for (Job& job : wanted) {
      if (!job.answered) give_up(job);
    }
  } catch (const std::invalid_argument& error) {
    refuse(wanted.front(), kUnprocessable, error.what());
  } catch (const std::exception& error) {
    note(std::string("sampling failed: ") + error.what());
    for (Job& job : wanted) {
      if (!job.answered) refuse(job, kInternalError, error.what());
    }
  }
}

// Samples jobs that sample alike and answers each when its last group is there. What the backend
// throws leaves those unanswered that are not finished.
void RolloutWorker::Impl::sample_now(std::span<Job> batch) {
  std::vector<GenerateRequest> requests;
  std::vector<std::pair<std::size_t, std::size_t>> place;  // job and index in it, of each request
  for (std::size_t j = 0; j < batch.size(); ++j) {
    const std::vector<GenerateRequest>& of_job = batch[j].rollouts->requests;
    batch[j].groups.assign(of_job.size(), {});
    batch[j].missing = of_job.size();
    for (std::size_t i = 0; i < of_job.size(); ++i) place.emplace_back(j, i);
    requests.insert(requests.end(), of_job.begin(), of_job.end());
  }
  const auto on_group = [&](std::size_t index, const Group& group) {
    Job& job = batch[place[index].first];
    Group& mine = job.groups[place[index].second];
    mine = group;
    for (Completion& c : mine.completions) c.policy_version = job.rollouts->policy_version;
    if (--job.missing == 0) answer_groups(job);
  };
  const auto on_progress = [&] {
    if (stopping_) throw GivenUp();
    const bool is_wanted = std::any_of(batch.begin(), batch.end(), [](const Job& job) {
      return !job.answered && !job.responder.is_cancelled();
    });
    if (!is_wanted) throw GivenUp();
  };
  const auto start = Clock::now();
  const auto count = [&] {
    const GenerationStatistics statistics = backend_.statistics();
    const std::lock_guard lock(mutex_);
    counters_.generate_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    counters_.preemptions += statistics.preemptions;
    counters_.recomputed_tokens += statistics.recomputed_tokens;
  };
  try {
    backend_.generate(requests, batch.front().rollouts->sampling, on_group, on_progress);
  } catch (const InputError& error) {  // what the cache cannot hold
    count();
    throw std::invalid_argument(error.what());
  } catch (...) {
    count();
    throw;
  }
  count();
  if (std::any_of(batch.begin(), batch.end(), [](const Job& job) { return !job.answered; }))
    throw std::logic_error("the backend left groups out");
}

void RolloutWorker::Impl::give_up(Job& job) {
  {
    const std::lock_guard lock(mutex_);
    ++counters_.given_up;
  }
  answer(job, error_response(kUnavailable, "given up: nobody waits, or the worker ends"));
}

void RolloutWorker::Impl::answer_groups(Job& job) {
  HttpResponse response;
  response.body = write_groups(job.groups);
  response.headers.add("Content-Type", "application/octet-stream");
  response.headers.add(kAnswersHeader, job.sha256);
  {
    const std::lock_guard lock(mutex_);
    ++counters_.rollouts;
    for (const Group& group : job.groups) {
      ++counters_.groups;
      counters_.completions += static_cast<std::int64_t>(group.completions.size());
      for (const Completion& completion : group.completions)
        counters_.tokens += static_cast<std::int64_t>(completion.tokens.size());
    }
  }
  job.groups.clear();
  answer(job, with_hash(std::move(response)));
}

void RolloutWorker::Impl::refuse(Job& job, int status, const std::string& message) {
  if (job.upload) note("weights refused: " + message);
  refuse(job, error_response(status, message));
}

void RolloutWorker::Impl::refuse(Job& job, HttpResponse response) {
  {
    const std::lock_guard lock(mutex_);
    ++counters_.refused;
  }
  answer(job, std::move(response));
}

void RolloutWorker::Impl::answer(Job& job, HttpResponse response) {
  job.upload.reset();  // the file is gone, and the next may come, before the learner hears of it
  job.answered = true;
  job.responder.answer(std::move(response));
}

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
