#include "rewards/host/reward_worker.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "system/file.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCallsToGrow = 4;  // that work before they may be twice as large
constexpr int kMostHangs = 4;    // in a row; then it is not the completions
constexpr int kMostEnds = 16;    // of processes, likewise

// What ran out of memory once may hold on to it; the others are of a program that the process has
// started, which is gone or out of step.
bool leaves_no_process(RewardResult result) {
  return result == RewardResult::memory || result == RewardResult::crash ||
         result == RewardResult::exit || result == RewardResult::garbled;
}

}  // namespace

// What judge() has found so far.
struct RewardWorker::Judgement {
  const RewardSlice& slice;
  std::size_t first;        // item that has no outcome yet
  std::size_t bad_end = 0;  // among the items before it is one that a call failed on, where > first
  int hangs = 0, ends = 0;  // of items in a row: without an answer; that ended the process
};

std::vector<std::string> not_hidden_yet(const RewardHost& host, Isolation level) {
  std::vector<std::string> paths;
  if (level < Isolation::full) return paths;
  for (const std::string& path : host.hidden)
    if (!std::filesystem::exists(path)) paths.push_back(path);
  return paths;
}

void RewardWorker::adopt(std::unique_ptr<RewardProcess> process,
                         std::vector<std::string> not_hidden_yet) {
  process_ = std::move(process);
  not_hidden_yet_ = std::move(not_hidden_yet);
  ++num_starts_;
}

// The same as at first: anything else ends the run.
void RewardWorker::start() {
  std::string reason;
  try {
    if (sha256_hex_of_file(served_.file) == served_.file_sha256) {
      not_hidden_yet_ = not_hidden_yet(served_.host, served_.sandbox.level);
      auto process = std::make_unique<RewardProcess>(served_.host, served_.file, served_.program,
                                                     served_.sandbox);
      ++num_starts_;
      const HostGreeting greeting = process->greeting();
      if (greeting.accepted && greeting.name == served_.name) {
        process_ = std::move(process);
        return;
      }
      reason = "expected " + greeting.expected + ", got " + greeting.actual;
    } else {
      reason = served_.file + " is not what it was when the run began";
    }
  } catch (const std::runtime_error& error) {
    reason = error.what();
  }
  throw RewardError(
      served_.name, 0,
      {.result = RewardResult::exit, .message = "it cannot be started again: " + reason});
}

RewardWorker::Answer RewardWorker::ask(std::span<const RewardItem> items) {
  const std::lock_guard lock(mutex_);
  return ask_now(items);
}

RewardWorker::Answer RewardWorker::ask_now(std::span<const RewardItem> items) {
  // A run's directory is made after its rewards: a process from before would see into it.
  const bool sees_too_much =
      std::any_of(not_hidden_yet_.begin(), not_hidden_yet_.end(),
                  [](const std::string& path) { return std::filesystem::exists(path); });
  if (process_ == nullptr || sees_too_much) {
    if (process_ == nullptr && num_starts_ > 0) ++num_restarts_;
    start();
  }
  Answer answer{.reply = {}, .ended = true, .was_fresh = process_->is_fresh()};
  const auto begin = Clock::now();
  try {
    answer.reply = process_->ask(items);
    answer.ended = leaves_no_process(answer.reply.result);
  } catch (const ChildError& error) {
    const RewardOutcome outcome = process_->end(error);
    answer.reply = {.result = outcome.result, .message = outcome.message};
  } catch (const ProtocolError& error) {
    answer.reply = {.result = RewardResult::garbled, .message = error.what()};
  } catch (...) {  // asked to stop: what the process says now would be late
    process_.reset();
    throw;
  }
  if (answer.ended) process_.reset();
  call_seconds_.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  return answer;
}

void RewardWorker::adapt_call_size(std::size_t count, bool worked) {
  if (!worked) {
    call_size_ = std::max<std::size_t>(1, count / 2);
    calls_of_size_ = 0;
  } else if (count == call_size_ && ++calls_of_size_ == kCallsToGrow) {
    call_size_ = std::min(2 * call_size_, kMostItems);
    calls_of_size_ = 0;
  }
}

// One call: of the next items, or of half of those among which one is known to fail.
void RewardWorker::judge_some(Judgement& judgement) {
  const RewardSlice& slice = judgement.slice;
  const std::size_t first = judgement.first;
  const std::size_t count = judgement.bad_end > first
                                ? std::max<std::size_t>(1, (judgement.bad_end - first) / 2)
                                : std::min(call_size_, slice.last - first);
  Answer answer = ask_now(slice.items.subspan(first, count));
  const bool worked = answer.reply.result == RewardResult::scored;
  adapt_call_size(count, worked);
  if (worked) {
    for (std::size_t i = 0; i < count; ++i) {
      const RewardOutcome& outcome = slice.outcomes[first + i] = answer.reply.outcomes[i];
      if (slice.on_error == OnRewardError::stop && is_failure(outcome.result))
        throw RewardError(served_.name, first + i, outcome);
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

void RewardWorker::judge_alone(std::size_t item, Answer answer, Judgement& judgement) {
  if (answer.ended && !answer.was_fresh) answer = ask_now(judgement.slice.items.subspan(item, 1));
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
  judgement.slice.outcomes[item] = outcome;
  const bool stop = judgement.slice.on_error == OnRewardError::stop && is_failure(outcome.result);
  if (stop || broken) throw RewardError(served_.name, item, outcome);
}

void RewardWorker::judge(const RewardSlice& slice) {
  const std::lock_guard lock(mutex_);
  Judgement judgement{.slice = slice, .first = slice.first};
  while (judgement.first < slice.last) {
    if (slice.given_up && slice.given_up()) return;
    judge_some(judgement);
  }
}

std::vector<double> RewardWorker::take_call_seconds() {
  const std::lock_guard lock(mutex_);
  return std::exchange(call_seconds_, {});
}

}  // namespace zeroth
