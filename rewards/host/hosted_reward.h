// A reward that lives in child processes: one, or several that share the items of a call
// (reward_worker.h). Which of them judges an item depends on the number of items alone, and the
// outcomes stand in the items' order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/host/reward_process.h"
#include "rewards/host/reward_worker.h"
#include "rewards/reward.h"
#include "system/sandbox.h"

namespace zeroth {

class HostedReward final : public Reward {
 public:
  /// A child is started, and InputError says why when it does not serve, or its sandbox reaches
  /// less than host.sandbox_min; the others are started when there is work for them. `file` is what
  /// the user named, and may not change while this lives. std::invalid_argument for no workers.
  HostedReward(const RewardHost& host, std::string file, const HostedProgram& program);
  ~HostedReward() override;

  /// What the child says of itself.
  std::string_view name() const override { return served_.name; }
  std::string_view description() const { return description_; }
  /// The level that was reached, and what stood in the way of the levels above; empty for none.
  std::optional<Isolation> isolation() const override { return served_.sandbox.level; }
  std::string_view isolation_reason() const { return isolation_reason_; }
  /// Of the file that the user named, as it was when the reward was made.
  std::string_view file_sha256() const { return served_.file_sha256; }

  /// Throws RewardError for a failure, and for an item that the reward does not apply to.
  std::vector<double> score(std::span<const RewardItem> items) const override;
  /// RewardError as RewardWorker::judge, of the first items where several workers have one.
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override;
  /// InputError when `items` get another number of scores, or none of them has a column that the
  /// reward cannot do without.
  void try_on(std::span<const RewardItem> items) const override;

  /// Processes started so far.
  std::int64_t num_starts() const;
  /// Of them those that stand for one that failed.
  std::int64_t num_restarts() const override;
  std::vector<double> take_call_seconds() const override;

 private:
  std::unique_ptr<RewardProcess> start_first(std::vector<std::string>& not_hidden);
  void check_columns(std::span<const RewardItem> items) const;

  ServedReward served_;
  std::string isolation_reason_;
  std::string description_;
  std::vector<std::string> needs_;  // columns
  std::vector<std::unique_ptr<RewardWorker>> workers_;
};

}  // namespace zeroth
