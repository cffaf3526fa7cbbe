#include "rewards/host/hosted_reward.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "rewards/host/host_protocol.h"
#include "rewards/host/reward_child.h"
#include "rewards/host/reward_view.h"
#include "system/child_process.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/lines.h"
#include "system/sandbox_keeper.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr std::size_t kMostItems = 64;     // of one call: halving them takes six more
constexpr int kCallsToGrow = 4;            // that work before they may be twice as large
constexpr int kMostHangs = 4;              // in a row; then it is not the completions
constexpr int kMostEnds = 16;              // of processes, likewise
constexpr auto kStartTime = seconds(120);  // a script may import a large library
constexpr auto kEndTime = seconds(1);      // from the end of the channel to that of the process
constexpr std::size_t kMostName = 64;

// What a reward may need to find its libraries, and nothing that could be a secret.
constexpr const char* kEnvironment[] = {"PATH",   "HOME",       "LANG",        "LC_ALL",
                                        "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
                                        "TZ"};

std::vector<std::string> environment() {
  // The order of Python's sets and of what is hashed is the same in every process.
  std::vector<std::string> list = {"PYTHONHASHSEED=0", "PYTHONUNBUFFERED=1"};
  for (const char* name : kEnvironment) {
    if (const char* value = std::getenv(name); value != nullptr)
      list.push_back(std::string(name) + "=" + value);
  }
  return list;
}

ChildProcess::Deadline in(double time) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(std::min(time, 1e6)));
}

std::string text_of_seconds(double time) {
  std::string text = std::to_string(time);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

// What ran out of memory once may hold on to it; the others are of a program that the process has
// started, which is gone or out of step.
bool leaves_no_process(RewardResult result) {
  return result == RewardResult::memory || result == RewardResult::crash ||
         result == RewardResult::exit || result == RewardResult::garbled;
}

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

}  // namespace

// The answer to one call.
struct HostedReward::Answer {
  HostReply reply;
  bool ended = false;      // the process, by the call
  bool was_fresh = false;  // it had done nothing before
};

// What judge() has found so far.
struct HostedReward::Judgement {
  std::span<const RewardItem> items;
  std::vector<RewardOutcome> outcomes;
  OnRewardError on_error;
  std::size_t first = 0;    // item that has no outcome yet
  std::size_t bad_end = 0;  // among the items before it is one that a call failed on, where > first
  int hangs = 0, ends = 0;  // of items in a row: without an answer; that ended the process
};

class HostedReward::Child {
 public:
  /// SandboxError where the sandbox's level is not reached.
  Child(const RewardHost& host, const std::string& file, const HostedProgram& program,
        const SandboxOptions& sandbox)
      : process_(command(host, program, sandbox), {.channel = ChildProcess::Channel::apart,
                                                   .environment = environment(),
                                                   .name = "the process of " + file,
                                                   .on_wait = host.check_stop}),
        timeout_(host.timeout),
        memory_(sandbox.memory) {
    const HostStart start = decode_start(receive(Clock::now() + kStartTime));
    if (!start.in_sandbox) throw SandboxError(start.reason);
    reward_process_ = static_cast<pid_t>(start.process);
  }

  HostGreeting greeting() { return decode_greeting(receive(Clock::now() + kStartTime)); }

  HostReply ask(std::span<const RewardItem> items) {
    fresh_ = false;
    ++call_;
    if (process_.has_bytes()) throw ProtocolError("it said more than it was asked");
    // The deadline is what counts; this is for what the reward's process has started and left.
    const auto cores = std::max(1U, std::thread::hardware_concurrency());
    process_.limit_cpu(seconds(static_cast<std::int64_t>(std::min(timeout_, 1e6)) + 1) * cores,
                       reward_process_);
    const auto deadline = in(timeout_);
    process_.send(frame(call_, encode_request(items)), deadline);
    return decode_reply(receive(deadline), items.size());
  }

  bool is_fresh() const { return fresh_; }

  // How the process ended, as the outcome of what it was asked.
  RewardOutcome end(const ChildError& error) {
    if (error.kind() == ChildError::Kind::deadline)
      return {.result = RewardResult::hang,
              .message = "no answer within " + text_of_seconds(timeout_)};
    const auto status = process_.wait(Clock::now() + kEndTime);
    if (!status) return {.result = RewardResult::garbled, .message = "it closed its channel"};
    if (status->signal == 0 && status->code == kTooMuchExit)
      return {.result = RewardResult::memory,
              .message = "all its processes held more than " + std::to_string(memory_) +
                         " bytes, or were too many"};
    if (status->signal == SIGXCPU) return {.result = RewardResult::hang, .message = status->text()};
    return {.result = status->signal != 0 ? RewardResult::crash : RewardResult::exit,
            .message = status->text()};
  }

 private:
  static std::vector<std::string> command(const RewardHost& host, const HostedProgram& program,
                                          const SandboxOptions& sandbox) {
    std::vector<std::string> list = {host.program, "reward-host"};
    for (const auto& part : {sandbox_arguments(sandbox), program.arguments})
      list.insert(list.end(), part.begin(), part.end());
    return list;
  }

  std::string receive(ChildProcess::Deadline deadline) {
    const FrameHeader header =
        read_frame_header(process_.receive(kFrameHeader, deadline), kMaxReply);
    check_call(header, call_);
    return process_.receive(header.size, deadline);
  }

  ChildProcess process_;
  double timeout_;
  std::int64_t memory_;
  pid_t reward_process_ = 0;  // which the child has started
  std::uint64_t call_ = 0;
  bool fresh_ = true;
};

HostedReward::HostedReward(const RewardHost& host, std::string file, const HostedProgram& program)
    : host_(host),
      file_(std::move(file)),
      file_sha256_(sha256_hex_of_file(file_)),
      program_(program),
      sandbox_(sandbox_of(host, file_, program)),
      call_size_(kMostItems) {
  HostGreeting greeting;
  const auto refuse = [&](std::string field, std::string expected, std::string actual) {
    throw InputError({.source = file_,
                      .field = std::move(field),
                      .expected = std::move(expected),
                      .actual = std::move(actual)});
  };
  std::unique_ptr<Child> started;
  try {
    started = start_first(host_.sandbox, host_.sandbox_min);
    greeting = started->greeting();
  } catch (const ChildError& error) {
    refuse("", "a reward that can be loaded",
           error.kind() == ChildError::Kind::deadline
               ? "nothing within " + text_of_seconds(kStartTime.count())
           : started == nullptr ? error.what()
                                : started->end(error).message);
  } catch (const ProtocolError& error) {
    refuse("", "a reward that can be loaded", error.what());
  }
  if (!greeting.accepted) refuse(greeting.field, greeting.expected, greeting.actual);
  if (!is_name(greeting.name))
    refuse("name", "1 to 64 letters, digits, _, - and .", quoted_start(greeting.name));
  name_ = greeting.name;
  description_ = greeting.description;
  for (const TextLine& line : lines_of(greeting.needs)) needs_.emplace_back(line.text);
  child_ = std::move(started);
}

HostedReward::~HostedReward() = default;

// At the highest level that this machine has.
std::unique_ptr<HostedReward::Child> HostedReward::start_first(Isolation wished, Isolation least) {
  for (sandbox_.level = wished;;) {
    try {
      see_hidden();
      auto child = std::make_unique<Child>(host_, file_, program_, sandbox_);
      ++num_starts_;
      if (sandbox_.level >= least) return child;
      break;
    } catch (const SandboxError& error) {
      if (sandbox_.level == Isolation::none) throw;
      isolation_reason_ += (isolation_reason_.empty() ? "" : "; ") +
                           std::string(isolation_name(sandbox_.level)) + ": " + error.what();
      sandbox_.level = static_cast<Isolation>(static_cast<int>(sandbox_.level) - 1);
    }
  }
  throw InputError({.source = file_,
                    .field = "sandbox_min",
                    .expected = "at least the level " + std::string(isolation_name(least)),
                    .actual = std::string(isolation_name(sandbox_.level)) +
                              ", as this machine refuses " + isolation_reason_});
}

void HostedReward::see_hidden() const {
  not_hidden_yet_.clear();
  if (sandbox_.level < Isolation::full) return;
  for (const std::string& path : host_.hidden)
    if (!std::filesystem::exists(path)) not_hidden_yet_.push_back(path);
}

// Anew, the same as at first: anything else ends the run.
std::unique_ptr<HostedReward::Child> HostedReward::start_again() const {
  std::string reason;
  try {
    if (sha256_hex_of_file(file_) == file_sha256_) {
      see_hidden();
      auto child = std::make_unique<Child>(host_, file_, program_, sandbox_);
      ++num_starts_;
      const HostGreeting greeting = child->greeting();
      if (greeting.accepted && greeting.name == name_) return child;
      reason = "expected " + greeting.expected + ", got " + greeting.actual;
    } else {
      reason = file_ + " is not what it was when the run began";
    }
  } catch (const std::runtime_error& error) {
    reason = error.what();
  }
  throw RewardError(
      name_, 0, {.result = RewardResult::exit, .message = "it cannot be started again: " + reason});
}

HostedReward::Answer HostedReward::ask(std::span<const RewardItem> items) const {
  // A run's directory is made after its rewards: a process from before would see into it.
  const bool sees_too_much =
      std::any_of(not_hidden_yet_.begin(), not_hidden_yet_.end(),
                  [](const std::string& path) { return std::filesystem::exists(path); });
  if (child_ == nullptr || sees_too_much) {
    if (child_ == nullptr) ++num_restarts_;
    child_ = start_again();
  }
  Answer answer{.reply = {}, .ended = true, .was_fresh = child_->is_fresh()};
  const auto start = Clock::now();
  try {
    answer.reply = child_->ask(items);
    answer.ended = leaves_no_process(answer.reply.result);
  } catch (const ChildError& error) {
    const RewardOutcome outcome = child_->end(error);
    answer.reply = {.result = outcome.result, .message = outcome.message};
  } catch (const ProtocolError& error) {
    answer.reply = {.result = RewardResult::garbled, .message = error.what()};
  } catch (...) {  // asked to stop: what the process says now would be late
    child_.reset();
    throw;
  }
  if (answer.ended) child_.reset();
  call_seconds_.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  return answer;
}

void HostedReward::adapt_call_size(std::size_t count, bool worked) const {
  if (!worked) {
    call_size_ = std::max<std::size_t>(1, count / 2);
    calls_of_size_ = 0;
  } else if (count == call_size_ && ++calls_of_size_ == kCallsToGrow) {
    call_size_ = std::min(2 * call_size_, kMostItems);
    calls_of_size_ = 0;
  }
}

// One call: of the next items, or of half of those among which one is known to fail.
void HostedReward::judge_some(Judgement& judgement) const {
  const std::size_t first = judgement.first;
  const std::size_t count = judgement.bad_end > first
                                ? std::max<std::size_t>(1, (judgement.bad_end - first) / 2)
                                : std::min(call_size_, judgement.items.size() - first);
  Answer answer = ask(judgement.items.subspan(first, count));
  const bool worked = answer.reply.result == RewardResult::scored;
  adapt_call_size(count, worked);
  if (worked) {
    for (std::size_t i = 0; i < count; ++i) {
      const RewardOutcome& outcome = judgement.outcomes[first + i] = answer.reply.outcomes[i];
      if (judgement.on_error == OnRewardError::stop && is_failure(outcome.result))
        throw RewardError(name_, first + i, outcome);
    }
    judgement.hangs = judgement.ends = 0;
    judgement.first += count;
  } else if (count == 1) {
    judge_alone(first, std::move(answer), judgement);
    judgement.first += 1;
    judgement.bad_end = 0;
  } else {
    judgement.bad_end = first + count;
  }
}

void HostedReward::judge_alone(std::size_t item, Answer answer, Judgement& judgement) const {
  if (answer.ended && !answer.was_fresh) answer = ask(judgement.items.subspan(item, 1));
  const HostReply& reply = answer.reply;
  RewardOutcome outcome{.result = reply.result, .message = reply.message};
  if (reply.result == RewardResult::scored) outcome = reply.outcomes[0];
  judgement.hangs = outcome.result == RewardResult::hang ? judgement.hangs + 1 : 0;
  judgement.ends = answer.ended ? judgement.ends + 1 : 0;
  const bool broken = judgement.hangs == kMostHangs || judgement.ends == kMostEnds;
  if (broken) {
    const int before = judgement.hangs == kMostHangs ? kMostHangs - 1 : kMostEnds - 1;
    outcome.message += ", as on the " + std::to_string(before) + " completions before";
  }
  judgement.outcomes[item] = outcome;
  const bool stop = judgement.on_error == OnRewardError::stop && is_failure(outcome.result);
  if (stop || broken) throw RewardError(name_, item, outcome);
}

std::vector<RewardOutcome> HostedReward::judge(std::span<const RewardItem> items,
                                               OnRewardError on_error) const {
  const std::lock_guard lock(mutex_);
  Judgement judgement{
      .items = items, .outcomes = std::vector<RewardOutcome>(items.size()), .on_error = on_error};
  while (judgement.first < items.size()) judge_some(judgement);
  return judgement.outcomes;
}

std::vector<double> HostedReward::take_call_seconds() const {
  const std::lock_guard lock(mutex_);
  return std::exchange(call_seconds_, {});
}

std::vector<double> HostedReward::score(std::span<const RewardItem> items) const {
  std::vector<double> scores;
  for (const RewardOutcome& outcome : judge(items, OnRewardError::stop)) {
    if (outcome.result == RewardResult::not_applicable)
      throw RewardError(name_, scores.size(),
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
    throw InputError({.source = file_,
                      .field = name_,
                      .expected = "a parameter that is a column (" + list +
                                  "), is in reward_config or has a default",
                      .actual = need});
  }
}

void HostedReward::try_on(std::span<const RewardItem> items) const {
  check_columns(items);
  const std::lock_guard lock(mutex_);
  const Answer answer = ask(items);
  if (answer.reply.result != RewardResult::wrong_count) return;
  throw InputError({.source = file_,
                    .field = name_,
                    .expected = "a score for each item",
                    .actual = answer.reply.message});
}

}  // namespace zeroth
