#include "rl/losses/grpo.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace zeroth {
namespace {

// One completion's slices of the inputs and its place in the loss.
struct Sequence {
  std::span<const float> logprobs;      // [L]
  std::span<const float> old_logprobs;  // [L]
  std::span<const float> ref_logprobs;  // [L], empty without KL
  double advantage = 0.0;
  double token_weight = 0.0;  // 1 / denominator: what one token counts in the loss
};

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(std::string("grpo_loss: ") + what);
}

template <class Number>
bool all_finite(std::span<const Number> values) {
  return std::all_of(values.begin(), values.end(),
                     [](Number value) { return std::isfinite(value); });
}

bool kept(const LossInputs& in, std::size_t sequence) {
  return in.sequence_mask.empty() || in.sequence_mask[sequence] != 0;
}

void check(const LossInputs& in, const PolicyLossConfig& config) {
  const std::size_t num_tokens = in.logprobs.size();
  const auto num_sequences = static_cast<std::size_t>(check_offsets(in.offsets, num_tokens));
  require(in.old_logprobs.size() == num_tokens, "old_logprobs must be [T]");
  require(config.beta == 0.0 || in.ref_logprobs.size() == num_tokens,
          "ref_logprobs must be [T] when beta is not 0");
  require(in.advantages.size() == num_sequences, "advantages must be [N]");
  require(in.sequence_mask.empty() || in.sequence_mask.size() == num_sequences,
          "sequence_mask must be empty or [N]");
  require(config.epsilon >= 0.0 && config.epsilon_high >= 0.0 && config.beta >= 0.0,
          "epsilon, epsilon_high and beta must not be negative");
  require(all_finite(in.logprobs) && all_finite(in.old_logprobs) && all_finite(in.advantages) &&
              (config.beta == 0.0 || all_finite(in.ref_logprobs)),
          "log-probs and advantages must be finite");
  std::int64_t sequences_kept = 0;
  std::int64_t tokens_kept = 0;
  for (std::size_t i = 0; i < num_sequences; ++i) {
    if (!kept(in, i)) continue;
    ++sequences_kept;
    tokens_kept += in.offsets[i + 1] - in.offsets[i];
  }
  require(in.normalizer.num_sequences >= sequences_kept,
          "the normalizer counts fewer sequences than the chunk keeps");
  require(in.normalizer.num_tokens >= tokens_kept,
          "the normalizer counts fewer tokens than the chunk");
  require(config.loss_type != LossType::dr_grpo || in.normalizer.max_completion_length > 0,
          "dr_grpo needs max_completion_length");
}

// What a token's loss is divided by. Counts are at least 1, as in TRL.
double denominator(LossType loss_type, const LossNormalizer& normalizer, std::int64_t length) {
  const auto at_least_one = [](std::int64_t count) {
    return static_cast<double>(std::max<std::int64_t>(count, 1));
  };
  switch (loss_type) {
    case LossType::grpo:
      return at_least_one(normalizer.num_sequences) * at_least_one(length);
    case LossType::bnpo:
    case LossType::dapo:
      return at_least_one(normalizer.num_tokens);
    case LossType::dr_grpo:
      return at_least_one(normalizer.num_sequences) *
             static_cast<double>(normalizer.max_completion_length);
  }
  throw std::invalid_argument("grpo_loss: loss_type is not one of its values");
}

enum class Clip { none, low, high };

Clip clip_of(double ratio, double advantage, const PolicyLossConfig& config) {
  if (advantage < 0.0 && ratio < 1.0 - config.epsilon) return Clip::low;
  if (advantage > 0.0 && ratio > 1.0 + config.epsilon_high) return Clip::high;
  return Clip::none;
}

// -min(r A, clip(r) A); the minimum takes the clipped branch exactly where `clip` says so.
double surrogate_loss(double ratio, double advantage, Clip clip, const PolicyLossConfig& config) {
  if (clip == Clip::low) return -(1.0 - config.epsilon) * advantage;
  if (clip == Clip::high) return -(1.0 + config.epsilon_high) * advantage;
  return -ratio * advantage;
}

void count_clip(Clip clip, LossSums& sums) {
  ++sums.num_ratios;
  if (clip == Clip::low) ++sums.clipped_low;
  if (clip == Clip::high) ++sums.clipped_high;
}

struct KlTerm {
  double value = 0.0;       // k3, before the bias correction
  double derivative = 0.0;  // by logprobs
};

KlTerm k3(double logprob, double ref_logprob) {
  const double d = ref_logprob - logprob;
  const double ratio_minus_one = std::expm1(d);
  return {.value = ratio_minus_one - d, .derivative = -ratio_minus_one};
}

LossSums token_level(const Sequence& sequence, const PolicyLossConfig& config,
                     std::span<float> dlogprobs) {
  LossSums sums;
  double loss = 0.0;
  for (std::size_t t = 0; t < sequence.logprobs.size(); ++t) {
    const double logprob = sequence.logprobs[t];
    const double ratio = std::exp(logprob - double{sequence.old_logprobs[t]});
    const Clip clip = clip_of(ratio, sequence.advantage, config);
    count_clip(clip, sums);
    double token_loss = surrogate_loss(ratio, sequence.advantage, clip, config);
    double derivative = clip == Clip::none ? -ratio * sequence.advantage : 0.0;
    if (config.beta != 0.0) {
      const KlTerm kl = k3(logprob, sequence.ref_logprobs[t]);
      const double weight = config.bias_corrected_kl ? ratio : 1.0;
      const double weighted = weight * kl.value;
      sums.kl += weighted;
      token_loss += config.beta * weighted;
      derivative += config.beta * weight * kl.derivative;
      if (config.bias_corrected_kl) derivative += config.beta * weighted;  // d ratio = ratio
    }
    loss += token_loss;
    dlogprobs[t] = static_cast<float>(derivative * sequence.token_weight);
  }
  sums.loss = loss * sequence.token_weight;
  return sums;
}

LossSums sequence_level(const Sequence& sequence, const PolicyLossConfig& config,
                        std::span<float> dlogprobs) {
  LossSums sums;
  const std::size_t num_tokens = sequence.logprobs.size();
  if (num_tokens == 0) return sums;
  const auto length = static_cast<double>(num_tokens);
  double log_ratio = 0.0;
  for (std::size_t t = 0; t < num_tokens; ++t) {
    log_ratio += double{sequence.logprobs[t]} - double{sequence.old_logprobs[t]};
  }
  const double ratio = std::exp(log_ratio / length);
  const Clip clip = clip_of(ratio, sequence.advantage, config);
  count_clip(clip, sums);
  const double kl_weight = config.bias_corrected_kl ? ratio : 1.0;
  if (config.beta != 0.0) {
    for (std::size_t t = 0; t < num_tokens; ++t) {
      sums.kl += kl_weight * k3(sequence.logprobs[t], sequence.ref_logprobs[t]).value;
    }
  }
  // Each of the L tokens has the same surrogate, and moves the ratio by ratio / L: the L cancels.
  double ratio_derivative = clip == Clip::none ? -ratio * sequence.advantage : 0.0;
  if (config.bias_corrected_kl) ratio_derivative += config.beta * sums.kl / length;
  for (std::size_t t = 0; t < num_tokens; ++t) {
    double derivative = ratio_derivative;
    if (config.beta != 0.0) {
      const KlTerm kl = k3(sequence.logprobs[t], sequence.ref_logprobs[t]);
      derivative += config.beta * kl_weight * kl.derivative;
    }
    dlogprobs[t] = static_cast<float>(derivative * sequence.token_weight);
  }
  const double surrogate = surrogate_loss(ratio, sequence.advantage, clip, config);
  sums.loss = (length * surrogate + config.beta * sums.kl) * sequence.token_weight;
  return sums;
}

LossSums sequence_loss(const Sequence& sequence, const PolicyLossConfig& config,
                       std::span<float> dlogprobs) {
  const bool token = config.importance_sampling_level == ImportanceSamplingLevel::token;
  LossSums sums = token ? token_level(sequence, config, dlogprobs)
                        : sequence_level(sequence, config, dlogprobs);
  sums.num_sequences = 1;
  sums.num_tokens = static_cast<std::int64_t>(sequence.logprobs.size());
  sums.clipped_low_min = sums.clip_ratio_low_mean();
  sums.clipped_high_max = sums.clip_ratio_high_mean();
  return sums;
}

}  // namespace

LossOutputs grpo_loss(const LossInputs& in, const PolicyLossConfig& config) {
  check(in, config);
  LossOutputs out;
  out.dlogprobs.assign(in.logprobs.size(), 0.0f);
  out.sequence_sums.resize(in.advantages.size());
  for (std::size_t i = 0; i < in.advantages.size(); ++i) {
    if (!kept(in, i)) continue;
    const auto first = static_cast<std::size_t>(in.offsets[i]);
    const auto length = static_cast<std::size_t>(in.offsets[i + 1]) - first;
    const bool has_reference = config.beta != 0.0;
    const double divisor =
        denominator(config.loss_type, in.normalizer, static_cast<std::int64_t>(length));
    const Sequence sequence = {.logprobs = in.logprobs.subspan(first, length),
                               .old_logprobs = in.old_logprobs.subspan(first, length),
                               .ref_logprobs = has_reference
                                                   ? in.ref_logprobs.subspan(first, length)
                                                   : std::span<const float>(),
                               .advantage = in.advantages[i],
                               .token_weight = 1.0 / divisor};
    out.sequence_sums[i] =
        sequence_loss(sequence, config, std::span<float>(out.dlogprobs).subspan(first, length));
    out.sums.add(out.sequence_sums[i]);
  }
  out.loss = out.sums.loss;
  return out;
}

}  // namespace zeroth
