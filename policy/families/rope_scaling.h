// Rotary frequencies from config.json, in both spellings: `rope_theta` with `rope_scaling` {"type"
// or "rope_type", …}, and transformers 5's `rope_parameters`, which holds theta and scaling
// together.
//
// Types: default, linear (Chen et al. 2023, arXiv:2306.15595), yarn (Peng et al. 2023,
// arXiv:2309.00071, sections 3.2 to 3.4) and llama3. The numbers are those of transformers 5.23's
// modeling_rope_utils.py, computed in double.
#pragma once

#include <cstdint>
#include <optional>

#include "policy/model_config.h"
#include "system/json.h"

namespace zeroth {

struct RopeReading {
  RopeConfig rope;  // interleaved is left false
  /// What the logits are multiplied by besides width^-0.5 where a family asks for it (DeepSeek):
  /// m^2 with m = 0.1 * mscale_all_dim * ln(factor) + 1, or 1 without mscale_all_dim.
  double softmax_scale_factor = 1.0;
};

/// How much of a head of `head_dim` is rotated, from its start: the share partial_rotary_factor
/// says, `fallback` where it says none. A family without a fallback rotates whole heads and takes
/// no other factor. At least 2 and even.
std::int64_t read_rotary_width(const JsonReader& json, std::int64_t head_dim,
                               std::optional<double> fallback = std::nullopt);

/// `dim` is the rotated width, even.
RopeReading read_rope(const JsonReader& json, std::int64_t dim,
                      std::int64_t max_position_embeddings);

}  // namespace zeroth
