// The parameters of a policy: one flat fp32 array, every tensor a named span of it. Gradients and
// optimizer moments are flat arrays of the same layout, so that an optimizer is one loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/model_config.h"
#include "policy/safetensors.h"
#include "policy/zeroed_floats.h"
#include "system/error.h"

namespace zeroth {

struct WeightTensor {
  std::string name;                 // Hugging Face name
  std::vector<std::int64_t> shape;  // row-major; a linear layer is [out, in]
  std::int64_t offset = 0;          // first element in the flat array; a multiple of 16
  std::int64_t size = 0;            // product of shape
  bool trainable = true;            // false for e_score_correction_bias
};

/// A tensor of a checkpoint that is not computed with and is saved as it was read: of MTP modules
/// that are not trained.
struct KeptTensor {
  std::string name;
  TensorType type = TensorType::f32;  // that of the file
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// What a checkpoint holds besides the tensors that are computed with.
struct BesideWeights {
  std::vector<std::pair<std::string, std::string>> copies;  // a name, and the tensor it repeats
  std::vector<KeptTensor> kept;
};

class Weights {
 public:
  /// Zeros, laid out as model_tensors(config).
  explicit Weights(const ModelConfig& config);

  const std::vector<WeightTensor>& tensors() const { return tensors_; }
  /// Throws std::invalid_argument for a name that is not there.
  const WeightTensor& tensor(std::string_view name) const;
  bool contains(std::string_view name) const;

  std::span<float> values() { return values_.span(); }  // padding between tensors included (zeros)
  std::span<const float> values() const { return values_.span(); }
  std::span<float> operator[](std::string_view name);
  std::span<const float> operator[](std::string_view name) const;

  /// Of the checkpoint that the weights were loaded from; saved with them.
  const BesideWeights& beside() const { return *beside_; }
  void set_beside(BesideWeights beside) {
    beside_ = std::make_shared<const BesideWeights>(std::move(beside));
  }

  std::int64_t num_parameters() const;  // trainable elements, padding excluded
  std::int64_t num_active_parameters() const {
    return num_active_;
  }  // a token's share: K of E routed experts

 private:
  std::vector<WeightTensor> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  ZeroedFloats values_;
  std::int64_t num_active_ = 0;
  std::shared_ptr<const BesideWeights> beside_ = std::make_shared<const BesideWeights>();
};

struct ParameterCounts {
  std::int64_t total = 0;      // trainable elements
  std::int64_t active = 0;     // a token's share: K of E routed experts
  std::int64_t embedding = 0;  // of both, the table that a token looks one row up in
  std::int64_t floats = 0;     // of a Weights
};

/// What Weights(config) would hold, which need not fit the memory.
ParameterCounts count_parameters(const ModelConfig& config);

/// Normal(0, initializer_range) for matrices, drawn by Philox keyed (seed, tensor index, element);
/// ones for norms, zeros for biases; projections back into the residual stream (o_proj, down_proj)
/// are divided by sqrt(2 * layers).
void initialize_weights(Weights& weights, const ModelConfig& config, std::uint64_t seed);

/// Reads model.safetensors or model.safetensors.index.json from `directory`. Every tensor of
/// model_tensors(config) must be there with its shape, in a type of floating point numbers and,
/// where config.fp8_blocks asks for it and it is fp8, with its scales; and nothing else but what
/// belongs to layers that are not run. Else InputError naming file, tensor, expected and actual,
/// before any memory is taken for weights.
Weights load_weights(const std::filesystem::path& directory, const ModelConfig& config);

/// All that load_weights refuses about the names, shapes and types of tensors.
std::vector<InputError> tensor_problems(const SafetensorsCheckpoint& checkpoint,
                                        const ModelConfig& config);

/// Every tensor that is computed with as it lies in `weights`, which must outlive the result.
std::vector<TensorBytes> tensor_bytes(const Weights& weights);

/// What a checkpoint of `weights`, which must outlive the result, holds, in numbers of `type`:
/// biases of expert selection in fp32, since they move in steps that sixteen bits cannot hold, as
/// transformers keeps them; what is kept beside the weights in the type it had.
std::vector<TensorFloats> saved_tensors(const Weights& weights, TensorType type);

/// Writes `directory`/model.safetensors in fp32 or, with bf16, rounded to nearest even.
void save_weights(const Weights& weights, const std::filesystem::path& directory, bool bf16);

}  // namespace zeroth
