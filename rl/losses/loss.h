// What every loss takes and gives: log-probs of a chunk of the batch in, the chunk's share of the
// loss of the whole batch and its derivative out.
//
// Goal: a batch may be cut into chunks at any sequence boundary. Every completion's numbers depend
// on that completion and on the normalizer of the whole batch alone, so derivatives are bitwise the
// same whatever the cut; sums are, too, when `sequence_sums` are added in sample order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace zeroth {

/// Sizes of the whole batch of one optimizer update, over all chunks and ranks.
struct LossNormalizer {
  std::int64_t num_sequences = 0;          // too long ones included, those without a reward not
  std::int64_t num_tokens = 0;             // tokens of the completions that are kept
  std::int64_t max_completion_length = 0;  // limit of the run; read by dr_grpo alone
};

/// Sums over completions, from which the metrics of the whole batch are made.
struct LossSums {
  double loss = 0.0;               // share of the batch's loss
  double mtp = 0.0;                // -log p of MTP modules, over tokens and modules
  double kl = 0.0;                 // of the KL estimate of each token, as it stands in the loss
  std::int64_t num_sequences = 0;  // completions kept
  std::int64_t num_tokens = 0;     // tokens kept
  std::int64_t num_ratios = 0;     // importance ratios: one a token or one a sequence
  std::int64_t clipped_low = 0;    // of those: below the range with a negative advantage
  std::int64_t clipped_high = 0;   // of those: above the range with a positive advantage
  double clipped_low_min = 1.0;    // smallest share of a sequence's ratios clipped low
  double clipped_high_max = 0.0;   // largest share of a sequence's ratios clipped high

  void add(const LossSums& other);
  /// TRL's clip_ratio/low_mean, high_mean, region_mean, low_min, high_max and kl; 0 over nothing.
  double clip_ratio_low_mean() const;
  double clip_ratio_high_mean() const;
  double clip_ratio_region_mean() const;
  double clip_ratio_low_min() const { return num_sequences > 0 ? clipped_low_min : 0.0; }
  double clip_ratio_high_max() const { return clipped_high_max; }
  double kl_mean() const;
};

struct LossOutputs {
  double loss = 0.0;                    // == sums.loss
  std::vector<float> dlogprobs;         // [T] d loss / d logprobs
  LossSums sums;                        // sequence_sums added in order
  std::vector<LossSums> sequence_sums;  // [N]
};

/// Throws std::invalid_argument unless `offsets` is [N + 1], starts at 0, never falls and ends at
/// `num_tokens`. Returns N.
std::int64_t check_offsets(std::span<const std::int64_t> offsets, std::size_t num_tokens);

}  // namespace zeroth
