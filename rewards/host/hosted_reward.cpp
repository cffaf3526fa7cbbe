#include "rewards/host/hosted_reward.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "rewards/host/reward_view.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/lines.h"

namespace zeroth {
namespace {

constexpr std::size_t kMostName = 64;
// A worker is not bothered for less: a call costs what scoring some items does.
constexpr std::size_t kFewestItems = 8;

// The columns of items, in order of appearance.
std::vector<std::string> column_names(std::span<const RewardItem> items) {
  std::vector<std::string> names = {"answer"};  // the reference's, whatever the data
  for (const RewardItem& item : items) {
    if (item.columns_json.empty()) continue;
    for (const std::string& name : JsonReader::parse(item.columns_json, "columns").keys())
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

// For several threads, whatever `check_stop` is.
std::function<void()> one_at_a_time(std::function<void()> check_stop) {
  if (!check_stop) return {};
  return [check_stop = std::move(check_stop), mutex = std::make_shared<std::mutex>()] {
    const std::lock_guard lock(*mutex);
    check_stop();
  };
}

ServedReward served(const RewardHost& host, std::string file, const HostedProgram& program) {
  ServedReward served{.host = host,
                      .file = std::move(file),
                      .file_sha256 = {},
                      .program = program,
                      .sandbox = {},
                      .name = {}};
  if (host.workers < 1) throw std::invalid_argument("HostedReward: no workers");
  if (host.workers > 1) served.host.check_stop = one_at_a_time(host.check_stop);
  served.file_sha256 = sha256_hex_of_file(served.file);
  served.sandbox = sandbox_of(host, served.file, program);
  return served;
}

}  // namespace

HostedReward::HostedReward(const RewardHost& host, std::string file, const HostedProgram& program)
    : served_(served(host, std::move(file), program)) {
  HostGreeting greeting;
  const auto refuse = [&](std::string field, std::string expected, std::string actual) {
    throw InputError({.source = served_.file,
                      .field = std::move(field),
                      .expected = std::move(expected),
                      .actual = std::move(actual)});
  };
  std::unique_ptr<RewardProcess> started;
  std::vector<std::string> not_hidden;
  try {
    started = start_first(not_hidden);
    greeting = started->greeting();
  } catch (const ChildError& error) {
    refuse("", "a reward that can be loaded",
           error.kind() == ChildError::Kind::deadline
               ? "nothing within " + text_of_seconds(RewardProcess::kStartTime.count())
           : started == nullptr ? error.what()
                                : started->end(error).message);
  } catch (const ProtocolError& error) {
    refuse("", "a reward that can be loaded", error.what());
  }
  if (!greeting.accepted) refuse(greeting.field, greeting.expected, greeting.actual);
  if (!is_name(greeting.name))
    refuse("name", "1 to 64 letters, digits, _, - and .", quoted_start(greeting.name));
  served_.name = greeting.name;
  description_ = greeting.description;
  for (const TextLine& line : lines_of(greeting.needs)) needs_.emplace_back(line.text);
  for (std::int64_t w = 0; w < host.workers; ++w)
    workers_.push_back(std::make_unique<RewardWorker>(served_));
  workers_[0]->adopt(std::move(started), std::move(not_hidden));
}

HostedReward::~HostedReward() = default;

// At the highest level that this machine has.
std::unique_ptr<RewardProcess> HostedReward::start_first(std::vector<std::string>& not_hidden) {
  const Isolation least = served_.host.sandbox_min;
  Isolation& level = served_.sandbox.level;
  for (level = served_.host.sandbox;;) {
    try {
      not_hidden = not_hidden_yet(served_.host, level);
      auto process = std::make_unique<RewardProcess>(served_.host, served_.file, served_.program,
                                                     served_.sandbox);
      if (level >= least) return process;
      break;
    } catch (const SandboxError& error) {
      if (level == Isolation::none) throw;
      isolation_reason_ += (isolation_reason_.empty() ? "" : "; ") +
                           std::string(isolation_name(level)) + ": " + error.what();
      level = static_cast<Isolation>(static_cast<int>(level) - 1);
    }
  }
  throw InputError({.source = served_.file,
                    .field = "sandbox_min",
                    .expected = "at least the level " + std::string(isolation_name(least)),
                    .actual = std::string(isolation_name(level)) + ", as this machine refuses " +
                              isolation_reason_});
}

// Each worker has a stretch of the items. Once one fails, those after it stop; those before it go
// on, so that the failure that is reported does not depend on which comes first.
std::vector<RewardOutcome> HostedReward::judge(std::span<const RewardItem> items,
                                               OnRewardError on_error) const {
  std::vector<RewardOutcome> outcomes(items.size());
  const std::size_t count =
      std::clamp<std::size_t>(items.size() / kFewestItems, 1, workers_.size());
  std::atomic<std::size_t> first_failed = count;
  std::vector<std::exception_ptr> errors(count);
  const auto work = [&](std::size_t w) {
    try {
      workers_[w]->judge({.items = items,
                          .outcomes = outcomes,
                          .first = items.size() * w / count,
                          .last = items.size() * (w + 1) / count,
                          .on_error = on_error,
                          .given_up = [&, w] { return first_failed < w; }});
    } catch (...) {
      errors[w] = std::current_exception();
      std::size_t before = first_failed;
      while (w < before && !first_failed.compare_exchange_weak(before, w)) {
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t w = 1; w < count; ++w) threads.emplace_back(work, w);
    work(0);
  }
  for (const std::exception_ptr& error : errors)
    if (error != nullptr) std::rethrow_exception(error);
  return outcomes;
}

std::int64_t HostedReward::num_starts() const {
  std::int64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->num_starts();
  return sum;
}

std::int64_t HostedReward::num_restarts() const {
  std::int64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->num_restarts();
  return sum;
}

std::vector<double> HostedReward::take_call_seconds() const {
  std::vector<double> all;
  for (const auto& worker : workers_) {
    const std::vector<double> seconds = worker->take_call_seconds();
    all.insert(all.end(), seconds.begin(), seconds.end());
  }
  return all;
}

std::vector<double> HostedReward::score(std::span<const RewardItem> items) const {
  std::vector<double> scores;
  for (const RewardOutcome& outcome : judge(items, OnRewardError::stop)) {
    if (outcome.result == RewardResult::not_applicable)
      throw RewardError(served_.name, scores.size(),
                        {.result = outcome.result, .message = "a score is needed here"});
    scores.push_back(outcome.score);
  }
  return scores;
}

// A parameter that is no column of any item is taken for a misspelt one.
void HostedReward::check_columns(std::span<const RewardItem> items) const {
  if (needs_.empty()) return;
  const std::vector<std::string> names = column_names(items);
  for (const std::string& need : needs_) {
    if (std::find(names.begin(), names.end(), need) != names.end()) continue;
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    throw InputError({.source = served_.file,
                      .field = served_.name,
                      .expected = "a parameter that is a column (" + list +
                                  "), is in reward_config or has a default",
                      .actual = need});
  }
}

void HostedReward::try_on(std::span<const RewardItem> items) const {
  check_columns(items);
  const RewardWorker::Answer answer = workers_[0]->ask(items);
  if (answer.reply.result != RewardResult::wrong_count) return;
  throw InputError({.source = served_.file,
                    .field = served_.name,
                    .expected = "a score for each item",
                    .actual = answer.reply.message});
}

}  // namespace zeroth
