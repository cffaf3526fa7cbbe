#include "policy/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "kernels/parallel.h"
#include "kernels/random.h"

namespace zeroth {
namespace {

constexpr std::int64_t kAlignment = 16;       // floats: one cache line
constexpr std::int64_t kBlocksAtOnce = 4096;  // four numbers each
constexpr std::string_view kSelectionBias = "e_score_correction_bias";
constexpr std::uint32_t kInitialization =
    0x496E6974;  // "Init": keeps these draws apart from any other use of the seed

std::int64_t size_of(const TensorSpec& tensor) {
  std::int64_t size = 1;
  for (const std::int64_t n : tensor.shape) size *= n;
  return size;
}

std::int64_t padded(std::int64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

bool is_trainable(std::string_view name) {
  return !name.ends_with(kSelectionBias);
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

void fill_normal(std::span<float> out, double deviation, std::uint64_t seed, std::uint32_t tensor,
                 ThreadPool& pool) {
  const auto num_blocks = static_cast<std::int64_t>((out.size() + 3) / 4);
  pool.parallel_for(num_blocks, kBlocksAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (auto block = static_cast<std::size_t>(begin); block < static_cast<std::size_t>(end);
         ++block) {
      const auto normals = normal_block(seed, tensor, block);
      const auto values = out.subspan(4 * block, std::min<std::size_t>(4, out.size() - 4 * block));
      for (std::size_t j = 0; j < values.size(); ++j)
        values[j] = static_cast<float>(deviation * normals[j]);
    }
  });
}

bool is_residual_projection(const std::string& name) {
  return name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
}

}  // namespace

ParameterCounts count_parameters(const ModelConfig& config) {
  ParameterCounts counts;
  for (const TensorSpec& spec : model_tensors(config)) {
    const std::int64_t size = size_of(spec);
    counts.floats += padded(size);
    if (is_trainable(spec.name)) counts.total += size;
  }
  counts.active = counts.total;
  for (const LayerConfig& layer : config.layers)
    counts.active -= num_idle_parameters(layer, config.hidden_size);
  counts.embedding = config.vocab_size * config.hidden_size;
  return counts;
}

Weights::Weights(const ModelConfig& config) {
  std::int64_t offset = 0;
  for (TensorSpec& spec : model_tensors(config)) {
    const std::int64_t size = size_of(spec);
    index_[spec.name] = tensors_.size();
    const bool trainable = is_trainable(spec.name);
    tensors_.push_back({.name = std::move(spec.name),
                        .shape = std::move(spec.shape),
                        .offset = offset,
                        .size = size,
                        .trainable = trainable});
    offset += padded(size);
  }
  values_ = ZeroedFloats(static_cast<std::size_t>(offset));
  num_active_ = count_parameters(config).active;
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
  return values_.span().subspan(static_cast<std::size_t>(found.offset),
                                static_cast<std::size_t>(found.size));
}

std::span<const float> Weights::operator[](std::string_view name) const {
  const WeightTensor& found = tensor(name);
  return values_.span().subspan(static_cast<std::size_t>(found.offset),
                                static_cast<std::size_t>(found.size));
}

std::int64_t Weights::num_parameters() const {
  std::int64_t sum = 0;
  for (const WeightTensor& tensor : tensors_) sum += tensor.trainable ? tensor.size : 0;
  return sum;
}

void initialize_weights(Weights& weights, const ModelConfig& config, std::uint64_t seed) {
  ThreadPool pool;
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
      fill_normal(values, deviation, seed, static_cast<std::uint32_t>(i), pool);
    }
  }
}

}  // namespace zeroth
