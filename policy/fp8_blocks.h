// Weights of eight bits with a scale a block, as DeepSeek-V3 (arXiv:2412.19437, section 3.3.2) and
// its successors are published: beside the matrix NAME [out, in] in F8_E4M3 stands
// NAME_scale_inv [ceil(out / rows), ceil(in / columns)], and a weight is its eight bits times the
// scale of the block that it lies in.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "policy/model_config.h"
#include "policy/safetensors.h"
#include "system/json.h"

namespace zeroth {

/// From `quantization_config` of a config.json; zeros where there is none. InputError for any other
/// quantisation than {"quant_method": "fp8"} with scales a block.
Fp8Blocks read_fp8_blocks(const JsonReader& config_json);

/// "model.layers.3.mlp.gate_proj.weight_scale_inv" of "model.layers.3.mlp.gate_proj.weight".
std::string scale_name(const std::string& weight_name);

bool is_fp8(TensorType type);

/// InputError unless `scale` (nullptr: there is none) holds a scale for every block of `weight`;
/// `source` names the file of the scale, or of the weight where there is no scale.
void check_scale(const TensorBytes& weight, const TensorBytes* scale, const Fp8Blocks& blocks,
                 const std::string& source);

/// Multiplies `rows`, whole rows of a matrix of `num_columns` from row `first_row` on, by the
/// scales of a tensor that check_scale let pass.
void multiply_by_scales(std::span<float> rows, std::int64_t first_row, std::int64_t num_columns,
                        const TensorBytes& scale, const Fp8Blocks& blocks);

}  // namespace zeroth
