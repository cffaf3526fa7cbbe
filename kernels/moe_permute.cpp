#include "kernels/moe_permute.h"

namespace zeroth {

void moe_plan(const std::int32_t* experts, std::int64_t T, std::int64_t K, std::int64_t E,
              std::int64_t* offsets, std::int64_t* row_of_slot, std::int64_t* token_of_row) {
  for (std::int64_t e = 0; e <= E; ++e) offsets[e] = 0;
  for (std::int64_t slot = 0; slot < T * K; ++slot) ++offsets[experts[slot] + 1];
  for (std::int64_t e = 0; e < E; ++e) offsets[e + 1] += offsets[e];
  // offsets[e] serves as the next free row of expert e, then moves back by one expert.
  for (std::int64_t slot = 0; slot < T * K; ++slot) {
    const std::int64_t row = offsets[experts[slot]]++;
    row_of_slot[slot] = row;
    token_of_row[row] = slot / K;
  }
  for (std::int64_t e = E; e > 0; --e) offsets[e] = offsets[e - 1];
  offsets[0] = 0;
}

}  // namespace zeroth
