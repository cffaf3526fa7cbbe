#include "rl/optimizer_state.h"

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include "policy/safetensors.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr const char* kExpAvg = "exp_avg.";
constexpr const char* kExpAvgSq = "exp_avg_sq.";

template <class Number>
std::span<Number> slice(std::span<Number> flat, const WeightTensor& tensor) {
  return flat.subspan(static_cast<std::size_t>(tensor.offset),
                      static_cast<std::size_t>(tensor.size));
}

std::string describe(TensorType type, const std::vector<std::int64_t>& shape) {
  std::string text(tensor_type_name(type));
  text += " [";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

void append_moment(const std::string& prefix, const Weights& weights, std::span<const float> moment,
                   std::vector<TensorBytes>& tensors) {
  if (moment.size() != weights.values().size()) {
    throw std::invalid_argument("write_optimizer_state: a moment has " +
                                std::to_string(moment.size()) + " elements, the weights have " +
                                std::to_string(weights.values().size()));
  }
  for (const WeightTensor& tensor : weights.tensors()) {
    if (!tensor.trainable) continue;
    tensors.push_back({.name = prefix + tensor.name,
                       .type = TensorType::f32,
                       .shape = tensor.shape,
                       .bytes = std::as_bytes(slice(moment, tensor))});
  }
}

std::vector<float> read_moment(const SafetensorsFile& file, const std::string& prefix,
                               const Weights& weights) {
  std::vector<float> moment(weights.values().size(), 0.0f);
  for (const WeightTensor& tensor : weights.tensors()) {
    if (!tensor.trainable) continue;
    const TensorBytes& stored = file.tensor(prefix + tensor.name);
    if (stored.type != TensorType::f32 || stored.shape != tensor.shape) {
      throw InputError({.source = file.source(),
                        .field = stored.name,
                        .expected = describe(TensorType::f32, tensor.shape),
                        .actual = describe(stored.type, stored.shape)});
    }
    copy_to_float(stored, slice(std::span<float>(moment), tensor), file.source());
  }
  return moment;
}

}  // namespace

void write_optimizer_state(const std::filesystem::path& file, const Weights& weights,
                           std::span<const float> exp_avg, std::span<const float> exp_avg_sq) {
  std::vector<TensorBytes> tensors;
  append_moment(kExpAvg, weights, exp_avg, tensors);
  append_moment(kExpAvgSq, weights, exp_avg_sq, tensors);
  write_safetensors(file, std::move(tensors));
}

OptimizerState read_optimizer_state(const std::filesystem::path& file, const Weights& weights) {
  const SafetensorsFile stored(file);
  return {.exp_avg = read_moment(stored, kExpAvg, weights),
          .exp_avg_sq = read_moment(stored, kExpAvgSq, weights)};
}

}  // namespace zeroth
