// A policy in training: its weights, gradients and AdamW moments, the packing that sampler and
// learner share, and the tokenizer it came with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "kernels/context.h"
#include "policy/packed_policy.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"

namespace zeroth {

struct AdamwOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;   // of matrices; norms and biases are not decayed
  double max_grad_norm = 1.0;  // 0: no clipping
};

class TrainedPolicy {
 public:
  /// Loads config.json, weights and tokenizer from `directory`, moments at zero. InputError when
  /// the tokenizer has more tokens than the model, no end-of-sequence id is known, or mla_prefix is
  /// not for this model. With `mtp` the checkpoint's MTP modules are trained, too; InputError where
  /// it has none.
  TrainedPolicy(const Context& context, const std::filesystem::path& directory, Dtype dtype,
                MlaPrefix mla_prefix = MlaPrefix::absorbed, bool mtp = false);
  TrainedPolicy(const TrainedPolicy&) = delete;
  TrainedPolicy& operator=(const TrainedPolicy&) = delete;

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::filesystem::path& directory() const { return directory_; }
  Weights& weights() { return weights_; }
  const Weights& weights() const { return weights_; }
  const PackedPolicy& packed() const { return packed_; }
  std::span<float> gradients() { return gradients_; }
  std::span<const float> exp_avg() const { return exp_avg_; }
  std::span<const float> exp_avg_sq() const { return exp_avg_sq_; }
  std::int64_t num_updates() const { return num_updates_; }

  void clear_gradients();

  /// Clips the gradient to max_grad_norm, takes one AdamW step and packs the new version. Returns
  /// the norm before clipping. std::runtime_error when the norm is not finite, with the weights as
  /// they were.
  double update(double learning_rate, const AdamwOptions& options);

  /// Loss-free balancing (arXiv:2408.15664, algorithm 1): each expert's selection bias moves by
  /// `speed` towards equal load. counts: [moe layers][E] slots routed. The router reads the bias in
  /// place, so nothing is packed.
  void balance_experts(std::span<const std::vector<std::int64_t>> counts, double speed);

  /// Goes on from a checkpoint's weights and moments after `num_updates` updates.
  void restore(Weights weights, std::vector<float> exp_avg, std::vector<float> exp_avg_sq,
               std::int64_t num_updates);

 private:
  const Context& context_;
  std::filesystem::path directory_;
  ModelConfig config_;
  Tokenizer tokenizer_;
  Weights weights_;
  PackedPolicy packed_;
  std::vector<float> gradients_, exp_avg_, exp_avg_sq_;
  std::int64_t num_updates_ = 0;
};

}  // namespace zeroth
