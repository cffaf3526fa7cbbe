// One step of supervised fine-tuning: the mean negative log-likelihood of the completion tokens,
// the prompt's masked; with a teacher, its distributions are learnt beside the tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rl/data_parallel.h"
#include "rl/learner.h"
#include "rl/metrics.h"
#include "rl/trained_policy.h"

namespace zeroth {

class SftTrainer {
 public:
  struct Config {
    std::int64_t micro_batch_tokens = 1024;
    double router_bias_update_speed = 0.0;
    bool exact_ranks = false;
    /// The loss is (1 - kd_weight) of the tokens' and kd_weight of the divergence from the teacher
    /// (rl/losses/distill.h); none where kd_weight is 0.
    const PackedPolicy* teacher = nullptr;
    double kd_weight = 0.0;
    /// Of the mean loss of the policy's MTP modules (rl/mtp_pass.h), which is added.
    double mtp_loss_weight = 0.0;
  };
  /// All references outlive the trainer.
  SftTrainer(const Context& context, Collectives& ranks, TrainedPolicy& policy,
             const Config& config);

  /// One update on `examples` (each a prompt with its completions), the same on every rank. Returns
  /// loss, grad_norm, num_tokens, step_time; with a teacher also kl, the mean divergence of a
  /// token; with MTP modules also mtp_loss, the mean of theirs.
  std::vector<Metric> step(std::span<const TrainingGroup> examples, double learning_rate,
                           const AdamwOptions& options);

  /// Prompt and completion tokens trained on so far.
  std::int64_t num_tokens() const { return num_tokens_; }
  void set_num_tokens(std::int64_t num_tokens) { num_tokens_ = num_tokens; }

 private:
  TrainedPolicy& policy_;
  DataParallel parallel_;
  Learner learner_;
  double router_bias_update_speed_;
  const PackedPolicy* teacher_;
  double kd_weight_;
  double mtp_loss_weight_;
  std::int64_t num_tokens_ = 0;
};

/// Prompt and completion of one example as ids, the end-of-sequence token appended.
TrainingGroup make_example(const Tokenizer& tokenizer, std::int64_t eos_token_id,
                           const std::string& prompt, const std::string& completion);

}  // namespace zeroth
