// Which tokens top-k, top-p and min-p leave of a distribution.
//
// Tokens are ranked by logit, the lowest id first among equals; a temperature does not change the
// ranking. The rules apply one after the other, in the order of Hugging Face's logits warpers:
//   top_k   the first k                                      (Fan et al. 2018, arXiv:1805.04833)
//   top_p   of these the fewest, in rank order, that have the share top_p of their probability
//                                                        (Holtzman et al. 2020, arXiv:1904.09751)
//   min_p   of these those at least min_p times as likely as the first
//                                                         (Nguyen et al. 2024, arXiv:2407.01082)
// The first token is always left. vLLM takes min_p before top_k and top_p; each rule by itself, and
// top_k with either, leave the same there. Where HF keeps every token that equals the k-th, the
// ranking decides here, so that k means k.
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct Truncation {
  std::int64_t top_k = 0;  // 0: all
  double top_p = 1.0;      // above 0; 1: all
  double min_p = 0.0;      // 0 to 1; 0: all

  bool truncates() const { return top_k > 0 || top_p < 1.0 || min_p > 0.0; }
};

/// Sets weights[r,v] to 0 for the tokens that `truncation` does not leave. Sums are fp64 in rank
/// order, the sum over all V tokens in order of id, so a row's result is a function of the row.
struct TruncateArgs {
  const float* logits = nullptr;     // [R, V]
  float* weights = nullptr;          // [R, V]  in: exp(z - max z), as token_weights gives them
  std::uint64_t* ranking = nullptr;  // [R, V]  scratch
  std::int64_t R = 0;
  std::int64_t V = 0;
  Truncation truncation = {};
};

void truncate(const Context& context, const TruncateArgs& args);

}  // namespace zeroth
