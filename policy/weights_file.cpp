// Weights from safetensors files and to them: load_weights, save_weights.
//
// A checkpoint may be as large as the memory: its files are mapped, the weights are converted in
// pieces by all processors, and the pages of a piece are let go as soon as it is done, so that no
// second copy of the weights comes together.
#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "kernels/parallel.h"
#include "policy/fp8_blocks.h"
#include "policy/mtp_checkpoint.h"
#include "policy/safetensors.h"
#include "policy/weights.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::int64_t kPieceElements = std::int64_t{1} << 20;

/// Tensors that a checkpoint may hold beside the model's: multi-token-prediction layers, a stored
/// copy of tied embeddings, rope tables of old exports.
bool is_known_extra(const std::string& name, const ModelConfig& config) {
  if (config.tie_word_embeddings && name == "lm_head.weight") return true;
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  return is_mtp_tensor(name, config);
}

bool has_scale(const ModelConfig& config, const TensorBytes* weight) {
  return config.fp8_blocks.rows > 0 && weight != nullptr && is_fp8(weight->type);
}

/// Whether `name` is the scale of an fp8 weight that the model has.
bool is_scale(const std::string& name, const SafetensorsCheckpoint& checkpoint,
              const std::unordered_set<std::string>& called_for, const ModelConfig& config) {
  const std::string suffix = scale_name("");
  if (!name.ends_with(suffix)) return false;
  const std::string weight = name.substr(0, name.size() - suffix.size());
  return called_for.contains(weight) && has_scale(config, checkpoint.find(weight).tensor);
}

/// Tensors that nothing calls for, in order of name.
std::vector<std::string> extra_tensors(const SafetensorsCheckpoint& checkpoint,
                                       const std::vector<TensorSpec>& tensors,
                                       const ModelConfig& config) {
  std::unordered_set<std::string> called_for;
  for (const TensorSpec& tensor : tensors) called_for.insert(tensor.name);
  std::vector<std::string> extras;
  for (const std::string& name : checkpoint.names()) {
    if (called_for.contains(name) || is_known_extra(name, config) ||
        is_scale(name, checkpoint, called_for, config)) {
      continue;
    }
    extras.push_back(name);
  }
  return extras;
}

InputError extra_error(const SafetensorsCheckpoint& checkpoint, const std::string& name,
                       const std::string& actual, const ModelConfig& config) {
  return InputError(
      {.source = *checkpoint.find(name).source,
       .field = name,
       .expected = "only tensors that config.json (" + config.model_type + ") calls for",
       .actual = actual});
}

void check_no_extras(const SafetensorsCheckpoint& checkpoint,
                     const std::vector<TensorSpec>& tensors, const ModelConfig& config) {
  const std::vector<std::string> extras = extra_tensors(checkpoint, tensors, config);
  if (extras.empty()) return;
  const std::size_t others = extras.size() - 1;
  throw extra_error(
      checkpoint, extras[0],
      others == 0 ? "this one, too"
                  : "this one and " + std::to_string(others) + " more, such as " + extras.back(),
      config);
}

void check_tensor(const SafetensorsCheckpoint& checkpoint, const TensorSpec& tensor,
                  const ModelConfig& config) {
  const auto [stored, source, file] = checkpoint.find(tensor.name);
  if (stored == nullptr || stored->shape != tensor.shape) {
    throw InputError({.source = *source,
                      .field = tensor.name,
                      .expected = "a tensor of shape " + describe_shape(tensor.shape),
                      .actual = stored == nullptr ? "nothing" : describe_shape(stored->shape)});
  }
  if (!is_floating_point(stored->type) || stored->type == TensorType::f8_e8m0) {
    throw InputError({.source = *source,
                      .field = tensor.name + ".dtype",
                      .expected = "F64, F32, BF16, F16, F8_E4M3 or F8_E5M2",
                      .actual = std::string(tensor_type_name(stored->type))});
  }
  if (!has_scale(config, stored)) return;
  const auto scale = checkpoint.find(scale_name(tensor.name));
  check_scale(*stored, scale.tensor, config.fp8_blocks,
              scale.tensor == nullptr ? *source : *scale.source);
}

// A list of all that a configuration calls for may itself be too long for the memory.
void check_num_tensors(const SafetensorsCheckpoint& checkpoint, const ModelConfig& config) {
  std::size_t fewest = 0;
  for (const LayerConfig& layer : config.layers)
    fewest += static_cast<std::size_t>(std::max<std::int64_t>(1, layer.ffn.num_experts));
  if (checkpoint.names().size() >= fewest) return;
  throw InputError(
      {.source = *checkpoint.find("").source,
       .field = "",
       .expected = "at least " + std::to_string(fewest) + " tensors, as config.json calls for",
       .actual = std::to_string(checkpoint.names().size())});
}

/// Whole rows of one tensor: what one thread converts at a time.
struct Piece {
  const WeightTensor* tensor;
  SafetensorsCheckpoint::Found stored;
  const TensorBytes* scale;  // nullptr where there is none
  std::int64_t num_columns;
  std::int64_t first_row, num_rows;
  std::int64_t first_wrong = -1;  // element of the tensor that is not finite, after conversion
};

std::vector<Piece> pieces_of(const SafetensorsCheckpoint& checkpoint, const Weights& weights,
                             const ModelConfig& config) {
  std::vector<Piece> pieces;
  for (const WeightTensor& tensor : weights.tensors()) {
    const auto stored = checkpoint.find(tensor.name);
    const TensorBytes* scale = has_scale(config, stored.tensor)
                                   ? checkpoint.find(scale_name(tensor.name)).tensor
                                   : nullptr;
    const std::int64_t num_columns = tensor.shape.back();
    const std::int64_t num_rows = tensor.size / num_columns;
    const std::int64_t step = std::max<std::int64_t>(1, kPieceElements / num_columns);
    for (std::int64_t row = 0; row < num_rows; row += step) {
      pieces.push_back({.tensor = &tensor,
                        .stored = stored,
                        .scale = scale,
                        .num_columns = num_columns,
                        .first_row = row,
                        .num_rows = std::min(step, num_rows - row)});
    }
  }
  return pieces;
}

std::int64_t first_not_finite(std::span<const float> values) {
  std::uint32_t greatest = 0;  // a loop without a branch, since nearly always all are finite
  for (const float x : values)
    greatest = std::max(greatest, std::bit_cast<std::uint32_t>(x) & 0x7FFFFFFFU);
  if (greatest < 0x7F800000U) return -1;
  const auto found =
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  return found - values.begin();
}

void convert(Piece& piece, std::span<float> tensor_values, const Fp8Blocks& blocks) {
  const TensorBytes& stored = *piece.stored.tensor;
  const auto width = static_cast<std::size_t>(tensor_type_bytes(stored.type));
  const auto first = static_cast<std::size_t>(piece.first_row * piece.num_columns);
  const auto count = static_cast<std::size_t>(piece.num_rows * piece.num_columns);
  const auto bytes = stored.bytes.subspan(first * width, count * width);
  const auto out = tensor_values.subspan(first, count);
  copy_to_float({.name = stored.name,
                 .type = stored.type,
                 .shape = {static_cast<std::int64_t>(count)},
                 .bytes = bytes},
                out, *piece.stored.source);
  piece.stored.file->release(bytes);
  if (piece.scale != nullptr) {
    multiply_by_scales(out, piece.first_row, piece.num_columns, *piece.scale, blocks);
  }
  const std::int64_t wrong = first_not_finite(out);
  if (wrong >= 0) piece.first_wrong = static_cast<std::int64_t>(first) + wrong;
}

void check_finite(const std::vector<Piece>& pieces, const Weights& weights) {
  for (const Piece& piece : pieces) {
    if (piece.first_wrong < 0) continue;
    const auto at = static_cast<std::size_t>(piece.first_wrong);
    throw InputError({.source = *piece.stored.source,
                      .field = piece.tensor->name + "[" + std::to_string(at) + "]",
                      .expected = "a finite number",
                      .actual = std::to_string(weights[piece.tensor->name][at])});
  }
}

// A tensor of a module that is not trained. Blocks of fp8 become fp32.
KeptTensor read_kept(const SafetensorsCheckpoint& checkpoint, const std::string& name,
                     const ModelConfig& config) {
  const auto [stored, source, file] = checkpoint.find(name);
  check_tensor(checkpoint, {.name = name, .shape = stored->shape}, config);
  const bool scaled = has_scale(config, stored);
  KeptTensor kept{.name = name,
                  .type = is_fp8(stored->type) ? TensorType::f32 : stored->type,
                  .shape = stored->shape,
                  .values = std::vector<float>(static_cast<std::size_t>(num_elements(*stored)))};
  copy_to_float(*stored, kept.values, *source);
  if (scaled) {
    multiply_by_scales(kept.values, 0, stored->shape.back(),
                       *checkpoint.find(scale_name(name)).tensor, config.fp8_blocks);
  }
  file->release(stored->bytes);
  return kept;
}

BesideWeights beside_weights(const SafetensorsCheckpoint& checkpoint, const Weights& weights,
                             const ModelConfig& config) {
  BesideWeights beside;
  beside.copies = mtp_copies(config);
  const auto is_copy = [&](const std::string& name) {
    return std::any_of(beside.copies.begin(), beside.copies.end(),
                       [&](const auto& copy) { return copy.first == name; });
  };
  const std::string suffix = scale_name("");
  for (const std::string& name : checkpoint.names()) {
    if (!is_mtp_tensor(name, config) || weights.contains(name) || is_copy(name)) continue;
    const bool scale =
        name.ends_with(suffix) &&
        has_scale(config, checkpoint.find(name.substr(0, name.size() - suffix.size())).tensor);
    if (!scale) beside.kept.push_back(read_kept(checkpoint, name, config));
  }
  return beside;
}

}  // namespace

Weights load_weights(const std::filesystem::path& directory, const ModelConfig& config) {
  const SafetensorsCheckpoint checkpoint(directory);
  // Before anything of the size that the configuration states is reserved.
  check_num_tensors(checkpoint, config);
  const std::vector<TensorSpec> tensors = model_tensors(config);
  for (const TensorSpec& tensor : tensors) check_tensor(checkpoint, tensor, config);
  check_no_extras(checkpoint, tensors, config);
  Weights weights(config);
  std::vector<Piece> pieces = pieces_of(checkpoint, weights, config);
  ThreadPool pool;
  pool.parallel_for(static_cast<std::int64_t>(pieces.size()), 1,
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i) {
                        Piece& piece = pieces[static_cast<std::size_t>(i)];
                        convert(piece, weights[piece.tensor->name], config.fp8_blocks);
                      }
                    });
  check_finite(pieces, weights);
  weights.set_beside(beside_weights(checkpoint, weights, config));
  return weights;
}

std::vector<InputError> tensor_problems(const SafetensorsCheckpoint& checkpoint,
                                        const ModelConfig& config) {
  std::vector<InputError> problems;
  const auto collect = [&](const auto& check) {
    try {
      check();
      return true;
    } catch (const InputError& error) {
      problems.push_back(error);
      return false;
    }
  };
  if (!collect([&] { check_num_tensors(checkpoint, config); })) return problems;
  const std::vector<TensorSpec> tensors = model_tensors(config);
  for (const TensorSpec& tensor : tensors)
    collect([&] { check_tensor(checkpoint, tensor, config); });
  for (const std::string& name : extra_tensors(checkpoint, tensors, config))
    problems.push_back(extra_error(checkpoint, name, "this one, too", config));
  return problems;
}

std::vector<TensorBytes> tensor_bytes(const Weights& weights) {
  std::vector<TensorBytes> tensors;
  for (const WeightTensor& tensor : weights.tensors()) {
    tensors.push_back({.name = tensor.name,
                       .type = TensorType::f32,
                       .shape = tensor.shape,
                       .bytes = std::as_bytes(weights[tensor.name])});
  }
  return tensors;
}

std::vector<TensorFloats> saved_tensors(const Weights& weights, TensorType type) {
  std::vector<TensorFloats> tensors;
  for (const WeightTensor& tensor : weights.tensors()) {
    tensors.push_back({.name = tensor.name,
                       .type = tensor.trainable ? type : TensorType::f32,
                       .shape = tensor.shape,
                       .values = weights[tensor.name]});
  }
  for (const auto& [name, original] : weights.beside().copies) {
    tensors.push_back({.name = name,
                       .type = type,
                       .shape = weights.tensor(original).shape,
                       .values = weights[original]});
  }
  for (const KeptTensor& tensor : weights.beside().kept) {
    tensors.push_back(
        {.name = tensor.name, .type = tensor.type, .shape = tensor.shape, .values = tensor.values});
  }
  return tensors;
}

void save_weights(const Weights& weights, const std::filesystem::path& directory, bool bf16) {
  write_safetensors(directory / "model.safetensors",
                    saved_tensors(weights, bf16 ? TensorType::bf16 : TensorType::f32));
}

}  // namespace zeroth
