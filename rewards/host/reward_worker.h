// One process of a reward, kept, and started anew when it fails.
//
// Items go over in calls of at most 64, each with a deadline. A call that fails is halved, and
// halved again, until the item it fails on stands alone: the others get their scores. An item is
// failed on when it fails alone, in a process that has done nothing else where the failure ended
// the process. So a pure reward gives the same outcomes however items come together. What a call
// could not hold, the calls after it do not try either: they are as small as the last that worked,
// and grow slowly, so that many items that hang cost a timeout or two each, and not the whole
// search.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "rewards/host/reward_process.h"
#include "rewards/reward.h"
#include "system/sandbox.h"

namespace zeroth {

/// What every process of a reward is started with.
struct ServedReward {
  RewardHost host;
  std::string file;  // what the user named
  std::string file_sha256;
  HostedProgram program;
  SandboxOptions sandbox;  // at the level that was reached
  std::string name;        // what the first process calls it
};

/// Items that one worker is to judge: those from `first`, before `last`.
struct RewardSlice {
  std::span<const RewardItem> items;
  std::span<RewardOutcome> outcomes;  // [item], where they go
  std::size_t first = 0;
  std::size_t last = 0;
  OnRewardError on_error = OnRewardError::stop;
  /// Asked before every call: true = the rest is no longer wanted.
  std::function<bool()> given_up = {};
};

class RewardWorker {
 public:
  /// `served` must outlive this. The process is started when it is first asked.
  explicit RewardWorker(const ServedReward& served) : served_(served), call_size_(kMostItems) {}

  /// The first process, which is there already; `not_hidden_yet` is what did not exist of
  /// host.hidden when it was started.
  void adopt(std::unique_ptr<RewardProcess> process, std::vector<std::string> not_hidden_yet);

  /// RewardError for a failure under `stop` and, whatever the policy, when the reward hangs on four
  /// items in a row, ends its process on sixteen in a row or cannot be started again.
  void judge(const RewardSlice& slice);

  struct Answer {
    HostReply reply;
    bool ended = false;      // the process, by the call
    bool was_fresh = false;  // it had done nothing before
  };
  /// One call of any number of items.
  Answer ask(std::span<const RewardItem> items);

  std::int64_t num_starts() const { return num_starts_; }
  std::int64_t num_restarts() const { return num_restarts_; }  // of them, for one that failed
  /// Of its calls since this was asked last.
  std::vector<double> take_call_seconds();

 private:
  static constexpr std::size_t kMostItems = 64;  // of one call: halving them takes six more

  struct Judgement;
  void start();
  void judge_some(Judgement& judgement);
  void judge_alone(std::size_t item, Answer answer, Judgement& judgement);
  void adapt_call_size(std::size_t count, bool worked);
  Answer ask_now(std::span<const RewardItem> items);

  const ServedReward& served_;
  std::mutex mutex_;
  std::unique_ptr<RewardProcess> process_;  // null: to be started
  std::atomic<std::int64_t> num_starts_ = 0;
  std::atomic<std::int64_t> num_restarts_ = 0;
  std::vector<std::string> not_hidden_yet_;
  std::vector<double> call_seconds_;
  std::size_t call_size_;  // of the next call, in items
  int calls_of_size_ = 0;  // that worked, in a row
};

/// What does not exist yet of the files that the processes are not to see.
std::vector<std::string> not_hidden_yet(const RewardHost& host, Isolation level);

}  // namespace zeroth
