// One GRPO step (Shao et al. 2024, arXiv:2402.03300, algorithm 1): problems -> groups -> rewards ->
// advantages -> loss -> update. Everything a step does is a function of (configuration, data, seed,
// step).
//
// With several ranks, every rank has all groups, rewards and advantages of the step, trains a part
// of the groups and takes the same update.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "datasets/order.h"
#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "rewards/weighted_sum.h"
#include "rl/advantage.h"
#include "rl/completions_log.h"
#include "rl/config.h"
#include "rl/data_parallel.h"
#include "rl/learner.h"
#include "rl/losses/grpo.h"
#include "rl/metrics.h"
#include "rl/trained_policy.h"
#include "rollout/engine.h"

namespace zeroth {

struct GrpoStep {
  std::vector<Metric> metrics;                // TRL's names
  std::vector<CompletionRecord> completions;  // when asked for
  std::vector<std::string> notes;             // failures of rewards of a kind not seen before
};

class GrpoTrainer {
 public:
  /// All references outlive the trainer. `reference` is the frozen policy of the KL term, null when
  /// beta is 0. `engine` gives every rank the same groups.
  GrpoTrainer(const Context& context, Collectives& ranks, TrainedPolicy& policy,
              const PackedPolicy* reference, Engine& engine, const std::vector<Problem>& problems,
              const PromptTemplate& prompt_template, const WeightedRewards& rewards,
              const GrpoConfig& config);

  /// Executes step `step` (1, 2, …). Throws std::runtime_error when an on-policy log-prob of the
  /// learner differs from the rollout's in any bit, or a router chose other experts; RewardError,
  /// on every rank, when a reward failed and nothing was learned.
  GrpoStep step(std::int64_t step, double learning_rate, bool keep_completions);

  /// Tokens sampled and prompts read so far, as num_tokens counts them.
  std::int64_t num_tokens() const { return num_tokens_; }
  void set_num_tokens(std::int64_t num_tokens) { num_tokens_ = num_tokens; }

 private:
  struct Rollout;  // the step's groups, decoded and scored
  struct Batch;    // what this rank trains in one pass
  struct Comparison;

  Rollout roll_out(std::int64_t step);
  static void add_kept_probability(const Completion& completion, Rollout& rollout);
  void score(Rollout& rollout);
  std::vector<RewardItem> items_of(const Rollout& rollout, const Share& groups) const;
  std::string place_of(const Rollout& rollout, std::size_t completion) const;
  void share_error(const std::string& own) const;
  void share_scores(ScoredItems& scores, std::size_t first_own) const;
  void check_some_scored(const Rollout& rollout) const;
  void count_failed_steps(const Rollout& rollout);
  std::vector<std::string> notes_of(const Rollout& rollout, std::int64_t step);
  std::vector<unsigned char> kept_completions(const Rollout& rollout) const;
  std::vector<std::int64_t> tokens_of_groups(const Rollout& rollout) const;
  Batch batch_of(const Rollout& rollout, const TrainingUnit& unit) const;
  ChunkLoss loss_of(const Batch& batch, const LossNormalizer& normalizer) const;
  void learn(Rollout& rollout, double learning_rate);
  void compare_with_rollout(const Batch& batch, const BatchForward& forward,
                            Comparison& comparison) const;
  Comparison over_ranks(const Comparison& own) const;
  std::vector<Metric> metrics_of(const Rollout& rollout) const;
  std::vector<CompletionRecord> records_of(const Rollout& rollout) const;

  TrainedPolicy& policy_;
  const PackedPolicy* reference_;
  Engine& engine_;
  const std::vector<Problem>& problems_;
  const PromptTemplate& prompt_template_;
  const WeightedRewards& rewards_;
  const GrpoConfig& config_;
  ProblemOrder order_;
  DataParallel parallel_;
  Learner learner_;
  std::unique_ptr<Learner> reference_learner_;
  PolicyLossConfig loss_config_;
  std::int64_t num_tokens_ = 0;
  std::vector<int> failed_steps_;                         // [reward], steps in a row
  std::set<std::pair<std::size_t, RewardResult>> noted_;  // rewards and how they failed
};

/// The configured words as the enums they name.
ScaleRewards parse_scale_rewards(const std::string& text);
LossType parse_loss_type(const std::string& text);

}  // namespace zeroth
