#include "policy/fp8_blocks.h"

#include <algorithm>
#include <vector>

#include "policy/families/common.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::int64_t kUsualBlock = 128;

std::int64_t num_blocks(std::int64_t size, std::int64_t block) {
  return (size + block - 1) / block;
}

std::int64_t read_block_size(const JsonReader& size) {
  if (size.as_int64() < 1 || size.as_int64() > kMaxWidth) {
    size.fail("an integer from 1 to " + std::to_string(kMaxWidth));
  }
  return size.as_int64();
}

Fp8Blocks read_block_sizes(const JsonReader& quantization) {
  if (!quantization.contains("weight_block_size")) {
    return {.rows = kUsualBlock, .columns = kUsualBlock};
  }
  const JsonReader sizes = quantization.child("weight_block_size");
  if (!sizes.value().is_array() || sizes.elements().size() != 2) {
    sizes.fail("two integers: rows and columns that share a scale");
  }
  return {.rows = read_block_size(sizes.elements()[0]),
          .columns = read_block_size(sizes.elements()[1])};
}

void require_word(const JsonReader& quantization, std::string_view key, std::string_view usual,
                  std::string_view other) {
  const std::string word = quantization.get_string(key, usual);
  if (word == usual || word == other) return;
  quantization.fail(key, "\"" + std::string(usual) + "\"" +
                             (other.empty() ? "" : " or \"" + std::string(other) + "\"") +
                             " (others are not read)");
}

/// Row `row` of the matrix of scales.
std::vector<float> scales_of_row(const TensorBytes& scale, std::int64_t row) {
  const std::int64_t count = scale.shape[1];
  const std::int64_t bytes = count * tensor_type_bytes(scale.type);
  std::vector<float> scales(static_cast<std::size_t>(count));
  copy_to_float({.name = scale.name,
                 .type = scale.type,
                 .shape = {count},
                 .bytes = scale.bytes.subspan(static_cast<std::size_t>(row * bytes),
                                              static_cast<std::size_t>(bytes))},
                scales, scale.name);
  return scales;
}

}  // namespace

Fp8Blocks read_fp8_blocks(const JsonReader& config_json) {
  if (!config_json.has("quantization_config")) return {};
  const JsonReader quantization = config_json.child("quantization_config");
  if (quantization.get_string("quant_method") != "fp8") {
    quantization.fail("quant_method", "\"fp8\" (others are not read)");
  }
  require_word(quantization, "fmt", "e4m3", "e5m2");
  require_word(quantization, "scale_fmt", "float", "ue8m0");
  require_word(quantization, "activation_scheme", "dynamic", "");
  require_word(quantization, "expert_dtype", "fp8", "");
  return read_block_sizes(quantization);
}

std::string scale_name(const std::string& weight_name) {
  return weight_name + "_scale_inv";
}

bool is_fp8(TensorType type) {
  return type == TensorType::f8_e4m3 || type == TensorType::f8_e5m2;
}

void check_scale(const TensorBytes& weight, const TensorBytes* scale, const Fp8Blocks& blocks,
                 const std::string& source) {
  const auto refuse = [&](const std::string& field, const std::string& expected,
                          const std::string& actual) {
    throw InputError({.source = source, .field = field, .expected = expected, .actual = actual});
  };
  const std::string of_weight =
      std::string(tensor_type_name(weight.type)) + " " + describe_shape(weight.shape);
  if (weight.shape.size() != 2) refuse(weight.name, "a matrix, since it is fp8", of_weight);
  const std::vector<std::int64_t> shape = {num_blocks(weight.shape[0], blocks.rows),
                                           num_blocks(weight.shape[1], blocks.columns)};
  const std::string expected = "scales of shape " + describe_shape(shape) + " for the " +
                               std::to_string(blocks.rows) + " x " +
                               std::to_string(blocks.columns) + " blocks of " + of_weight;
  if (scale == nullptr) refuse(scale_name(weight.name), expected, "nothing");
  if (scale->shape != shape) refuse(scale->name, expected, describe_shape(scale->shape));
  if (is_fp8(scale->type) || !is_floating_point(scale->type)) {
    refuse(scale->name + ".dtype", "F32, BF16, F16 or F8_E8M0",
           std::string(tensor_type_name(scale->type)));
  }
}

void multiply_by_scales(std::span<float> rows, std::int64_t first_row, std::int64_t num_columns,
                        const TensorBytes& scale, const Fp8Blocks& blocks) {
  const std::int64_t num_rows = static_cast<std::int64_t>(rows.size()) / num_columns;
  std::vector<float> scales;
  for (std::int64_t row = 0; row < num_rows; ++row) {
    const bool enters_block = row == 0 || (first_row + row) % blocks.rows == 0;
    if (enters_block) scales = scales_of_row(scale, (first_row + row) / blocks.rows);
    float* values = rows.data() + row * num_columns;
    for (std::size_t block = 0; block < scales.size(); ++block) {
      const std::int64_t begin = static_cast<std::int64_t>(block) * blocks.columns;
      const std::int64_t end = std::min(begin + blocks.columns, num_columns);
      for (std::int64_t i = begin; i < end; ++i) values[i] *= scales[block];
    }
  }
}

}  // namespace zeroth
