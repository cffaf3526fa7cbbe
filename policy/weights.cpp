#include "policy/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "kernels/random.h"
#include "policy/safetensors.h"
#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

constexpr std::int64_t kAlignment = 16;  // floats: one cache line
constexpr std::string_view kSelectionBias = "e_score_correction_bias";
constexpr std::uint32_t kInitialization =
    0x496E6974;  // "Init": keeps these draws apart from any other use of the seed

std::string join(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::int64_t num_idle_parameters(const LayerConfig& layer, std::int64_t hidden_size) {
  const FfnConfig& ffn = layer.ffn;
  if (ffn.kind != FfnKind::moe) return 0;
  return (ffn.num_experts - ffn.num_experts_per_tok) * 3 * ffn.intermediate_size * hidden_size;
}

/// Four standard normal numbers by Box and Muller (1958): r = sqrt(-2 ln u), (r cos 2πv, r sin
/// 2πv).
std::array<double, 4> normal_block(std::uint64_t seed, std::uint32_t tensor, std::uint64_t block) {
  const auto words =
      Philox::block({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32U),
                     tensor, kInitialization},
                    {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)});
  std::array<double, 4> normals{};
  for (std::size_t pair = 0; pair < 2; ++pair) {
    const double u = (words[2 * pair] + 0.5) * 0x1p-32;  // never 0
    const double angle = 2.0 * std::numbers::pi * words[2 * pair + 1] * 0x1p-32;
    const double radius = std::sqrt(-2.0 * std::log(u));
    normals[2 * pair] = radius * std::cos(angle);
    normals[2 * pair + 1] = radius * std::sin(angle);
  }
  return normals;
}

void fill_normal(std::span<float> out, double deviation, std::uint64_t seed, std::uint32_t tensor) {
  for (std::size_t i = 0; i < out.size(); i += 4) {
    const auto normals = normal_block(seed, tensor, i / 4);
    for (std::size_t j = 0; j < std::min<std::size_t>(4, out.size() - i); ++j) {
      out[i + j] = static_cast<float>(deviation * normals[j]);
    }
  }
}

bool is_residual_projection(const std::string& name) {
  return name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
}

std::int64_t num_mtp_layers(const ModelConfig& config) {
  if (config.hf_json.empty()) return 0;
  return JsonReader::parse(config.hf_json, "config.json").get_int64("num_nextn_predict_layers", 0);
}

/// Tensors that a checkpoint may hold beside the model's: multi-token-prediction layers, a stored
/// copy of tied embeddings, rope tables of old exports.
bool is_known_extra(const std::string& name, const ModelConfig& config, std::int64_t num_mtp) {
  if (config.tie_word_embeddings && name == "lm_head.weight") return true;
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  const auto first = static_cast<std::int64_t>(config.layers.size());
  for (std::int64_t layer = first; layer < first + std::min<std::int64_t>(num_mtp, 64); ++layer) {
    if (name.starts_with("model.layers." + std::to_string(layer) + ".")) return true;
  }
  return false;
}

void check_no_extras(const SafetensorsCheckpoint& checkpoint, const Weights& weights,
                     const ModelConfig& config) {
  const std::int64_t num_mtp = num_mtp_layers(config);
  for (const std::string& name : checkpoint.names()) {
    if (weights.contains(name) || is_known_extra(name, config, num_mtp)) continue;
    throw InputError(
        {.source = *checkpoint.find(name).source,
         .field = name,
         .expected = "only tensors that config.json (" + config.model_type + ") calls for",
         .actual = "this one too"});
  }
}

// Before anything of the size that the configuration states is reserved.
void check_shapes(const SafetensorsCheckpoint& checkpoint, const ModelConfig& config) {
  std::size_t fewest = 0;  // tensors; a list of all of them may itself be too long
  for (const LayerConfig& layer : config.layers)
    fewest += static_cast<std::size_t>(std::max<std::int64_t>(1, layer.ffn.num_experts));
  if (checkpoint.names().size() < fewest) {
    throw InputError(
        {.source = *checkpoint.find("").source,
         .field = "",
         .expected = "at least " + std::to_string(fewest) + " tensors, as config.json calls for",
         .actual = std::to_string(checkpoint.names().size())});
  }
  for (const TensorSpec& tensor : model_tensors(config)) {
    const auto [stored, source] = checkpoint.find(tensor.name);
    if (stored != nullptr && stored->shape == tensor.shape) continue;
    throw InputError({.source = *source,
                      .field = tensor.name,
                      .expected = "a tensor of shape " + join(tensor.shape),
                      .actual = stored == nullptr ? "nothing" : join(stored->shape)});
  }
}

void load_tensor(const SafetensorsCheckpoint& checkpoint, const WeightTensor& tensor,
                 std::span<float> out) {
  const auto [stored, source] = checkpoint.find(tensor.name);
  copy_to_float(*stored, out, *source);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!std::isfinite(out[i])) {
      throw InputError({.source = *source,
                        .field = tensor.name + "[" + std::to_string(i) + "]",
                        .expected = "a finite number",
                        .actual = std::to_string(out[i])});
    }
  }
}

}  // namespace

Weights::Weights(const ModelConfig& config) {
  std::int64_t offset = 0;
  for (TensorSpec& spec : model_tensors(config)) {
    std::int64_t size = 1;
    for (const std::int64_t n : spec.shape) size *= n;
    index_[spec.name] = tensors_.size();
    const bool trainable = !spec.name.ends_with(kSelectionBias);
    tensors_.push_back({.name = std::move(spec.name),
                        .shape = std::move(spec.shape),
                        .offset = offset,
                        .size = size,
                        .trainable = trainable});
    offset += (size + kAlignment - 1) / kAlignment * kAlignment;
  }
  values_.resize(static_cast<std::size_t>(offset));
  num_active_ = num_parameters();
  for (const LayerConfig& layer : config.layers)
    num_active_ -= num_idle_parameters(layer, config.hidden_size);
}

const WeightTensor& Weights::tensor(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  if (found == index_.end()) throw std::invalid_argument("Weights: no tensor " + std::string(name));
  return tensors_[found->second];
}

bool Weights::contains(std::string_view name) const {
  return index_.contains(std::string(name));
}

std::span<float> Weights::operator[](std::string_view name) {
  const WeightTensor& found = tensor(name);
  return std::span(values_).subspan(static_cast<std::size_t>(found.offset),
                                    static_cast<std::size_t>(found.size));
}

std::span<const float> Weights::operator[](std::string_view name) const {
  const WeightTensor& found = tensor(name);
  return std::span(values_).subspan(static_cast<std::size_t>(found.offset),
                                    static_cast<std::size_t>(found.size));
}

std::int64_t Weights::num_parameters() const {
  std::int64_t sum = 0;
  for (const WeightTensor& tensor : tensors_) sum += tensor.trainable ? tensor.size : 0;
  return sum;
}

void initialize_weights(Weights& weights, const ModelConfig& config, std::uint64_t seed) {
  const double residual = 1.0 / std::sqrt(2.0 * static_cast<double>(config.layers.size()));
  for (std::size_t i = 0; i < weights.tensors().size(); ++i) {
    const WeightTensor& tensor = weights.tensors()[i];
    const std::span<float> values = weights[tensor.name];
    if (tensor.name.ends_with("bias")) {
      std::fill(values.begin(), values.end(), 0.0F);
    } else if (tensor.shape.size() == 1) {  // every vector that is not a bias is a norm
      std::fill(values.begin(), values.end(), 1.0F);
    } else {
      const double deviation =
          config.initializer_range * (is_residual_projection(tensor.name) ? residual : 1.0);
      fill_normal(values, deviation, seed, static_cast<std::uint32_t>(i));
    }
  }
}

Weights load_weights(const std::filesystem::path& directory, const ModelConfig& config) {
  const SafetensorsCheckpoint checkpoint(directory);
  check_shapes(checkpoint, config);
  Weights weights(config);
  for (const WeightTensor& tensor : weights.tensors())
    load_tensor(checkpoint, tensor, weights[tensor.name]);
  check_no_extras(checkpoint, weights, config);
  return weights;
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

void save_weights(const Weights& weights, const std::filesystem::path& directory, bool bf16) {
  std::vector<TensorBytes> tensors = tensor_bytes(weights);
  std::vector<std::uint16_t> halves;  // the bf16 copy, laid out as the weights
  if (bf16) {
    halves.resize(weights.values().size());
    std::transform(weights.values().begin(), weights.values().end(), halves.begin(),
                   bf16_from_float);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const WeightTensor& tensor = weights.tensors()[i];
      // The selection bias moves in steps that bf16 cannot hold; transformers keeps it in fp32 too.
      if (!tensor.trainable) continue;
      tensors[i].type = TensorType::bf16;
      tensors[i].bytes = std::as_bytes(std::span(halves).subspan(
          static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(tensor.size)));
    }
  }
  write_safetensors(directory / "model.safetensors", std::move(tensors));
}

}  // namespace zeroth
