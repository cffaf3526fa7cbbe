// A reward that lives in a child process: started once, kept, started anew when it fails.
//
// Items go over in calls of at most 64, each with a deadline. A call that fails is halved, and
// halved again, until the items it fails on stand alone: the others get their scores. An item is
// failed on when it fails alone, in a process that has done nothing else where the failure ended
// the process. So a pure reward gives the same outcomes however items come together.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

/// How the processes of rewards are run.
struct RewardHost {
  /// A program whose command `reward-host` is run_reward_child (reward_child.h). By default this
  /// very program, the same even when its file has been replaced.
  std::string program = "/proc/self/exe";
  std::string python = "python3";               // for scripts; found in PATH
  double timeout = 10.0;                        // seconds of one call
  std::int64_t memory = std::int64_t{4} << 30;  // bytes of private memory of each process
};

class HostedReward final : public Reward {
 public:
  /// `child` are the arguments after `reward-host`. The child is started, and InputError says why
  /// when it does not serve; `file` is what the user named, and may not change while this lives.
  HostedReward(const RewardHost& host, std::string file, std::vector<std::string> child);
  ~HostedReward() override;

  /// What the child says of itself.
  std::string_view name() const override { return name_; }
  std::string_view description() const { return description_; }
  std::string_view isolation() const { return isolation_; }

  /// Throws RewardError for a failure, and for an item that the reward does not apply to.
  std::vector<double> score(std::span<const RewardItem> items) const override;
  /// Whatever `on_error` is, RewardError when the reward hangs on four items in a row or cannot be
  /// started again.
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override;
  /// InputError when `items` get another number of scores.
  void try_on(std::span<const RewardItem> items) const override;

  /// Processes started so far.
  std::int64_t num_starts() const { return num_starts_; }

 private:
  class Child;
  struct Judgement;

  std::unique_ptr<Child> start() const;
  struct Answer;
  Answer ask(std::span<const RewardItem> items) const;
  void judge_part(std::size_t first, std::size_t count, Judgement& judgement) const;
  void judge_alone(std::size_t item, Answer answer, Judgement& judgement) const;

  RewardHost host_;
  std::string file_;
  std::string file_sha256_;
  std::vector<std::string> arguments_;
  std::string name_;
  std::string description_;
  std::string isolation_;
  mutable std::mutex mutex_;
  mutable std::unique_ptr<Child> child_;  // null: to be started
  mutable std::int64_t num_starts_ = 0;
};

}  // namespace zeroth
