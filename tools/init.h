// A checkpoint with random weights, as zeroth init and the quickstart make it.
#pragma once

#include "rl/config.h"

namespace zeroth {

/// Writes config.json, generation_config.json, model.safetensors, the tokenizer's files and
/// SHA256SUMS to config.output_dir, whole or not at all. The vocabulary is the tokenizer's. Throws
/// InputError for an architecture that is not known or not consistent, an alphabet that is none,
/// and a directory that is there.
void write_initial_checkpoint(const InitConfig& config);

}  // namespace zeroth
