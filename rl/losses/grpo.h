// The clipped policy-gradient loss of GRPO and its relatives, with its derivative written by hand.
//
// With r = exp(logprobs - old_logprobs) of a token, A the completion's advantage, o_i the tokens of
// completion i and N completions in the batch,
//
//   L_t  = -min(r A, clip(r, 1 - epsilon, 1 + epsilon_high) A) + beta * KL_t
//   KL_t = exp(d) - d - 1,  d = ref_logprobs - logprobs    (k3; times r when bias-corrected)
//
//   grpo     (1/N) sum_i (1/|o_i|) sum_t L_t
//   bnpo     (1/tokens of the batch) sum_i sum_t L_t
//   dapo     the same sum over the same count, with an epsilon_high of its own
//   dr_grpo  (1/(N max_completion_length)) sum_i sum_t L_t
//
// grpo: Shao et al. 2024, arXiv:2402.03300, eq. 3, KL eq. 4. dapo: Yu et al. 2025,
// arXiv:2503.14476, eq. 8. dr_grpo: Liu et al. 2025, arXiv:2503.20783, section 3.2.
//
// In TRL bnpo counts the tokens of a micro-batch and dapo those of the batch. Here the normalizer
// is always the batch's, so the two agree; both names are kept because recipes use both.
//
// importance_sampling_level = sequence replaces r by s_i = exp(mean over t of log r), GSPO (Zheng
// et al. 2025, arXiv:2507.18071, eq. 5 and 7).
//
// The bias correction makes the gradient of the KL term that of the KL divergence at the trained
// policy although the tokens were sampled by the old one (DeepSeek-AI 2025, arXiv:2512.02556,
// section 3.1); TRL's use_bias_correction_kl.
#pragma once

#include <cstdint>
#include <span>

#include "rl/losses/loss.h"

namespace zeroth {

enum class LossType { grpo, bnpo, dapo, dr_grpo };
enum class ImportanceSamplingLevel { token, sequence };

struct PolicyLossConfig {
  LossType loss_type = LossType::dapo;
  double epsilon = 0.2;       // ratios below 1 - epsilon are clipped
  double epsilon_high = 0.2;  // ratios above 1 + epsilon_high are clipped; DAPO uses 0.28
  double beta = 0.0;          // weight of the KL to the reference; 0 needs no reference
  ImportanceSamplingLevel importance_sampling_level = ImportanceSamplingLevel::token;
  bool bias_corrected_kl = true;
};

/// A chunk of T tokens in N completions; completion i owns tokens [offsets[i], offsets[i + 1]).
struct LossInputs {
  std::span<const float> logprobs;               // [T] being trained
  std::span<const float> old_logprobs;           // [T] at the start of the step
  std::span<const float> ref_logprobs;           // [T] of the reference; empty when beta == 0
  std::span<const std::int64_t> offsets;         // [N + 1]
  std::span<const double> advantages;            // [N]
  std::span<const unsigned char> sequence_mask;  // [N] 0 drops a completion; empty: all are kept
  LossNormalizer normalizer;                     // of the whole batch
};

/// The chunk's share of the loss. Sums in double, derivatives rounded to float once. On-policy
/// (logprobs == old_logprobs) every ratio is exactly 1 and, with beta 0, the derivative of a token
/// is -advantage / denominator.
///
/// Throws std::invalid_argument when sizes disagree, a denominator that the loss type reads is
/// smaller than the chunk (num_sequences, num_tokens) or not positive (max_completion_length), a
/// log-prob or an advantage is not finite, or an epsilon or beta is negative.
LossOutputs grpo_loss(const LossInputs& in, const PolicyLossConfig& config);

}  // namespace zeroth
