// optimizer.safetensors of a checkpoint: AdamW's moments, by the names of the tensors they belong
// to.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "policy/weights.h"

namespace zeroth {

struct OptimizerState {
  std::vector<float> exp_avg;     // first moments in the flat layout of the weights
  std::vector<float> exp_avg_sq;  // second moments
};

/// Writes exp_avg.<name> and exp_avg_sq.<name>, fp32, for every trainable tensor of `weights`.
/// std::invalid_argument when a moment does not have the size of weights.values();
/// std::system_error when the disk is full.
void write_optimizer_state(const std::filesystem::path& file, const Weights& weights,
                           std::span<const float> exp_avg, std::span<const float> exp_avg_sq);

/// Reads them back; moments of frozen tensors and of padding are 0. InputError naming file and
/// tensor for one that is missing, has another shape or is not fp32.
OptimizerState read_optimizer_state(const std::filesystem::path& file, const Weights& weights);

}  // namespace zeroth
