// The values of a stored tensor, read once in pieces.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/parallel.h"
#include "policy/model_config.h"
#include "policy/safetensors.h"

namespace zeroth {

struct TensorValues {
  std::int64_t num_finite = 0, num_not_finite = 0;
  double mean = 0.0;  // of those that are finite
  double std = 0.0;   // divided by their number less one
};

/// Of the tensor of that name, which is there, of floating point numbers and, where it is fp8 and
/// `blocks` asks for it, has its scales.
TensorValues read_values(const SafetensorsCheckpoint& files, const std::string& name,
                         const Fp8Blocks& blocks, ThreadPool& pool);

}  // namespace zeroth
