// Knowledge distillation over the whole vocabulary: the forward KL divergence from the teacher's
// next-token distribution p to the student's q at one position, both at temperature 1,
//
//   KL(p || q) = sum_v p_v (log p_v - log q_v),   p = softmax(teacher), q = softmax(student)
//   d KL / d student logit v = q_v - p_v
//
// Hinton, Vinyals and Dean 2015, arXiv:1503.02531, section 2 (there with the teacher's cross
// entropy, which differs by its entropy, a constant); "forward" after Gu et al. 2023,
// arXiv:2306.08543. The loss of a batch is
// (1 - w) sft_loss + w / (tokens of the batch) sum over completion tokens of KL.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/context.h"

namespace zeroth {

/// R rows of V logits. A row's numbers depend on that row alone, so rows may be cut into blocks
/// anywhere.
struct ForwardKlInputs {
  std::span<const float> student;   // [R, V] logits
  std::span<const float> teacher;   // [R, V]
  std::int64_t vocab_size = 0;      // V
  std::span<const double> weights;  // [R] a row's divergence counts that much in the loss
  std::span<float> dlogits;         // [R, V] out: d loss / d student logits
  std::span<double> divergences;    // [R] out: nats, without the weight
};

/// Sums in double in order of v, derivatives rounded to float once. Where student and teacher have
/// the same bits both are exactly 0. std::invalid_argument when sizes disagree.
void forward_kl(const Context& context, const ForwardKlInputs& in);

}  // namespace zeroth
