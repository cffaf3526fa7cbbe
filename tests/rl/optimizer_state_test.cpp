#include "rl/optimizer_state.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/safetensors.h"
#include "system/error.h"
#include "tests/rl/temporary_directory.h"
#include "tests/rl/tiny_config.h"

namespace zeroth {
namespace {

std::vector<float> counting(const Weights& weights, float first) {
  std::vector<float> moment(weights.values().size(), 0.0f);
  for (const WeightTensor& tensor : weights.tensors()) {
    for (std::int64_t i = tensor.offset; tensor.trainable && i < tensor.offset + tensor.size; ++i) {
      moment[static_cast<std::size_t>(i)] = first + static_cast<float>(i);
    }
  }
  return moment;
}

}  // namespace

TEST_CASE("optimizer state: written and read back, frozen tensors left out", "[rl]") {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "optimizer.safetensors";
  for (const ModelConfig& config : {tiny_config(), tiny_moe_config()}) {
    const Weights weights(config);
    const std::vector<float> exp_avg = counting(weights, 0.5f);
    const std::vector<float> exp_avg_sq = counting(weights, 0.25f);
    write_optimizer_state(file, weights, exp_avg, exp_avg_sq);
    const OptimizerState loaded = read_optimizer_state(file, weights);
    CHECK(loaded.exp_avg == exp_avg);
    CHECK(loaded.exp_avg_sq == exp_avg_sq);
    std::size_t num_trainable = 0;
    for (const WeightTensor& tensor : weights.tensors()) num_trainable += tensor.trainable ? 1 : 0;
    const SafetensorsFile stored(file);
    CHECK(stored.tensors().size() == 2 * num_trainable);
    CHECK(stored.find("exp_avg.model.embed_tokens.weight") != nullptr);
    CHECK(stored.find("exp_avg_sq.model.embed_tokens.weight") != nullptr);
  }
}

TEST_CASE("optimizer state: of another model names tensor, expected and actual", "[rl]") {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "optimizer.safetensors";
  const Weights weights(tiny_config(16));
  const std::vector<float> zeros(weights.values().size(), 0.0f);
  write_optimizer_state(file, weights, zeros, zeros);
  const Weights wider(tiny_config(32));
  CHECK_THROWS_WITH(read_optimizer_state(file, wider),
                    Catch::Contains("exp_avg.model.embed_tokens.weight: expected F32 [24, 32], "
                                    "got F32 [24, 16]"));
  const Weights other(tiny_moe_config());
  CHECK_THROWS_AS(read_optimizer_state(file, other), InputError);
  CHECK_THROWS_AS(read_optimizer_state(directory.path() / "absent", weights), InputError);
}

TEST_CASE("optimizer state: moments of the wrong size are refused", "[rl]") {
  const TemporaryDirectory directory;
  const Weights weights(tiny_config());
  const std::vector<float> right(weights.values().size(), 0.0f);
  const std::vector<float> wrong(weights.values().size() - 1, 0.0f);
  CHECK_THROWS_AS(write_optimizer_state(directory.path() / "a", weights, wrong, right),
                  std::invalid_argument);
  CHECK_THROWS_AS(write_optimizer_state(directory.path() / "a", weights, right, wrong),
                  std::invalid_argument);
}

}  // namespace zeroth
