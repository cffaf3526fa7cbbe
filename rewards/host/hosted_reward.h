// A reward that lives in a child process: started once, kept, started anew when it fails.
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
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"
#include "system/sandbox.h"

namespace zeroth {

/// How the processes of rewards are run.
struct RewardHost {
  /// A program whose command `reward-host` is run_reward_child (reward_child.h). By default this
  /// very program, the same even when its file has been replaced.
  std::string program = "/proc/self/exe";
  std::string python = "python3";               // for scripts; found in PATH
  std::string parameters = "{}";                // JSON object: what reward_config says of it
  double timeout = 10.0;                        // seconds of one call
  std::int64_t memory = std::int64_t{4} << 30;  // bytes of private memory of each process
  /// How far processes are held: this level, or where it cannot be reached the next below, down to
  /// sandbox_min.
  Isolation sandbox = Isolation::full;
  Isolation sandbox_min = Isolation::limits;
  std::vector<std::string> readable = {};  // at `full`, beside what sandbox_of (reward_view.h) adds
  std::vector<std::string> hidden = {};    // at `full`, within that
  /// Called about twenty times a second while a reward is waited for. What it throws ends the wait
  /// and the process, and passes through: a request to stop need not wait for a reward that hangs.
  std::function<void()> check_stop = {};
};

/// What serves a reward in its process.
struct HostedProgram {
  std::vector<std::string> arguments;      // kind, file and what else reward_child.cpp reads
  bool executes = false;                   // other programs
  std::vector<std::string> programs = {};  // interpreters among these; found in PATH
  std::vector<std::string> files = {};     // that it is told to read, where they exist
};

class HostedReward final : public Reward {
 public:
  /// The child is started, and InputError says why when it does not serve, or its sandbox reaches
  /// less than host.sandbox_min; `file` is what the user named, and may not change while this
  /// lives.
  HostedReward(const RewardHost& host, std::string file, const HostedProgram& program);
  ~HostedReward() override;

  /// What the child says of itself.
  std::string_view name() const override { return name_; }
  std::string_view description() const { return description_; }
  /// The level that was reached, and what stood in the way of the levels above; empty for none.
  std::optional<Isolation> isolation() const override { return sandbox_.level; }
  std::string_view isolation_reason() const { return isolation_reason_; }
  /// Of the file that the user named, as it was when the reward was made.
  std::string_view file_sha256() const { return file_sha256_; }

  /// Throws RewardError for a failure, and for an item that the reward does not apply to.
  std::vector<double> score(std::span<const RewardItem> items) const override;
  /// Whatever `on_error` is, RewardError when the reward hangs on four items in a row, ends its
  /// process on sixteen in a row or cannot be started again.
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override;
  /// InputError when `items` get another number of scores, or none of them has a column that the
  /// reward cannot do without.
  void try_on(std::span<const RewardItem> items) const override;

  /// Processes started so far.
  std::int64_t num_starts() const { return num_starts_; }
  /// Of them those that stand for one that failed.
  std::int64_t num_restarts() const override { return num_restarts_; }
  std::vector<double> take_call_seconds() const override;

 private:
  class Child;
  struct Judgement;

  std::unique_ptr<Child> start_first(Isolation wished, Isolation least);
  std::unique_ptr<Child> start_again() const;
  void see_hidden() const;
  void check_columns(std::span<const RewardItem> items) const;
  struct Answer;
  Answer ask(std::span<const RewardItem> items) const;
  void judge_some(Judgement& judgement) const;
  void judge_alone(std::size_t item, Answer answer, Judgement& judgement) const;
  void adapt_call_size(std::size_t count, bool worked) const;

  RewardHost host_;
  std::string file_;
  std::string file_sha256_;
  HostedProgram program_;
  SandboxOptions sandbox_;
  std::string isolation_reason_;
  std::string name_;
  std::string description_;
  std::vector<std::string> needs_;  // columns
  mutable std::mutex mutex_;
  mutable std::unique_ptr<Child> child_;  // null: to be started
  mutable std::atomic<std::int64_t> num_starts_ = 0;
  mutable std::atomic<std::int64_t> num_restarts_ = 0;
  // Of host_.hidden, what did not exist when the child was started.
  mutable std::vector<std::string> not_hidden_yet_;
  mutable std::vector<double> call_seconds_;
  mutable std::size_t call_size_;  // of the next call, in items
  mutable int calls_of_size_ = 0;  // that worked, in a row
};

}  // namespace zeroth
