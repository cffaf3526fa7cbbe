// Which K of E experts a token goes to, and with what weight.
//
//   s = sigmoid(logits)  or  softmax(logits)
//   choice = s + bias                                   (bias decides, it does not weigh)
//   only the topk_group groups with the largest score stay eligible (n_group > 1); a group's score
//   is the sum of its two best choices, or with group_max its best choice
//   experts = the K largest choices; ties go to the lower id; kept in that order
//   weight_k = s_k [ / (sum_k s_k + 1e-20) ] * routed_scaling_factor
//
// DeepSeek-V3 (arXiv:2412.19437, eq. 12-16); loss-free balancing bias (arXiv:2408.15664);
// DeepSeek-V2's groups by their best (arXiv:2405.04434, section 2.2.2), with softmax and no bias.
// All in fp32.
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct RouterArgs {
  const float* logits = nullptr;    // [T, E]
  const float* bias = nullptr;      // [E] or nullptr
  float* scores = nullptr;          // [T, E]  s, kept for backward
  std::int32_t* experts = nullptr;  // [T, K]
  float* weights = nullptr;         // [T, K]
  std::int64_t T = 0;
  std::int64_t E = 0;  // at most 8192
  std::int64_t K = 0;
  std::int64_t n_group = 1;
  std::int64_t topk_group = 1;
  bool group_max = false;
  bool softmax = false;
  bool normalize = true;
  float scaling_factor = 1.0F;
};

void router(const Context& context, const RouterArgs& args);

struct RouterBackwardArgs {
  const float* scores = nullptr;          // [T, E]
  const std::int32_t* experts = nullptr;  // [T, K]
  const float* dweights = nullptr;        // [T, K]
  float* dlogits = nullptr;               // [T, E]
  std::int64_t T = 0;
  std::int64_t E = 0;
  std::int64_t K = 0;
  bool softmax = false;
  bool normalize = true;
  float scaling_factor = 1.0F;
};

/// The choice of experts is a constant of the derivative.
void router_backward(const Context& context, const RouterBackwardArgs& args);

}  // namespace zeroth
