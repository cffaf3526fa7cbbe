// Rotary position embedding (Su et al. 2021, arXiv:2104.09864, eq. 34): pair i of a head turns by
// the angle position * inv_freq[i].
//
// Pairs are (i, i + dim/2), or with `interleaved` (2i, 2i+1) as DeepSeek-V3 stores them; the result
// is always written as halves [first of each pair | second of each pair], which is how transformers
// leaves it. The backward pass turns the other way and restores the pairing of the input.
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct RopeArgs {
  float* x = nullptr;  // row t, head h at x + t * row + h * head; `dim` floats, changed in place
  std::int64_t row = 0;
  std::int64_t head = 0;
  std::int64_t num_heads = 0;
  std::int64_t T = 0;
  std::int64_t dim = 0;                     // even, at most 4096
  const std::int32_t* positions = nullptr;  // [T]
  const float* cos = nullptr;               // [max position, dim / 2]
  const float* sin = nullptr;
  bool interleaved = false;
  bool backward = false;
  bool round_bf16 = false;
};

void rope(const Context& context, const RopeArgs& args);

}  // namespace zeroth
