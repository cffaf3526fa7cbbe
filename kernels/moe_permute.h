// Moves token rows to their experts and back.
//
// Slot (t, k) is token t's k-th chosen expert. Permuted rows are sorted by expert, then by token:
// row_of_slot[t*K+k] says where a slot went. The combine is a gather in slot order, in fp32, so
// that no sum depends on which tokens share a batch:   y[t] = base[t] + sum_k weights[t,k] *
// rows[row_of_slot[t,k]]   (an fma chain over k, from the base on).
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

/// Counting sort of the slots. Fills offsets[E + 1], row_of_slot[T * K] and token_of_row[T * K].
void moe_plan(const std::int32_t* experts, std::int64_t T, std::int64_t K, std::int64_t E,
              std::int64_t* offsets, std::int64_t* row_of_slot, std::int64_t* token_of_row);

/// rows[r] = x[token_of_row[r]]
struct MoeGatherArgs {
  const float* x = nullptr;                    // [T, D]
  const std::int64_t* token_of_row = nullptr;  // [rows]
  float* rows = nullptr;                       // [num_rows, D]
  std::int64_t num_rows = 0;
  std::int64_t D = 0;
};
void moe_gather(const Context& context, const MoeGatherArgs& args);

struct MoeCombineArgs {
  const float* rows = nullptr;                // [T * K, D] results of the experts
  const std::int64_t* row_of_slot = nullptr;  // [T, K]
  const float* weights = nullptr;             // [T, K]; nullptr: every weight is 1
  float* y = nullptr;  // [T, D]; holds the base (zeros or the shared expert's result) on entry
  std::int64_t T = 0;
  std::int64_t K = 0;
  std::int64_t D = 0;
};
void moe_combine(const Context& context, const MoeCombineArgs& args);

/// drows[row(t,k)] = weights[t,k] * dy[t];  dweights[t,k] = dot(dy[t], rows[row(t,k)])
struct MoeCombineBackwardArgs {
  const float* rows = nullptr;
  const std::int64_t* row_of_slot = nullptr;
  const float* weights = nullptr;  // [T, K]
  const float* dy = nullptr;       // [T, D]
  float* drows = nullptr;          // [T * K, D]
  float* dweights = nullptr;       // [T, K]
  std::int64_t T = 0;
  std::int64_t K = 0;
  std::int64_t D = 0;
};
void moe_combine_backward(const Context& context, const MoeCombineBackwardArgs& args);

/// y[t] += x[t], elementwise over n floats: the sum of two branches of the residual stream.
struct AddArgs {
  const float* x = nullptr;
  float* y = nullptr;
  std::int64_t n = 0;
};
void add_to(const Context& context, const AddArgs& args);

}  // namespace zeroth
