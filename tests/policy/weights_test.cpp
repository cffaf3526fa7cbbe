#include "policy/weights.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "policy/safetensors.h"
#include "system/error.h"
#include "system/file.h"
#include "tests/support/fixtures.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_configs.h"
#include "tests/support/tiny_weights.h"

namespace zeroth {
namespace {

using testing::copy;
using testing::kTinyDeepseek;
using testing::kTinyQwen2;
using testing::random_weights;
using testing::TemporaryDirectory;
using testing::tiny;

TEST_CASE("Weights: tensors stand on cache lines, one after another, with zeros between",
          "[policy]") {
  const Weights weights(tiny(kTinyDeepseek));
  std::int64_t end = 0;
  for (const WeightTensor& tensor : weights.tensors()) {
    CHECK(tensor.offset % 16 == 0);
    CHECK(tensor.offset >= end);
    CHECK(tensor.offset < end + 16);
    end = tensor.offset + tensor.size;
    CHECK(weights[tensor.name].size() == static_cast<std::size_t>(tensor.size));
  }
  CHECK(static_cast<std::int64_t>(weights.values().size()) == (end + 15) / 16 * 16);
  CHECK(std::all_of(weights.values().begin(), weights.values().end(),
                    [](float x) { return x == 0; }));
  CHECK_THROWS_AS(weights["absent"], std::invalid_argument);
  CHECK_FALSE(weights.contains("absent"));
}

TEST_CASE("Weights: parameters and a token's share of them by hand", "[policy]") {
  const Weights weights(tiny(kTinyDeepseek));
  const std::int64_t attention = 10 * 16 + 10 + 20 * 10 + 12 * 16 + 8 + 22 * 8 + 16 * 10;
  const std::int64_t expert = 3 * 12 * 16;
  const std::int64_t total = 2 * 40 * 16 + 16 + 2 * (attention + 2 * 16) + 3 * 24 * 16 +
                             (8 * 16 + 8 * expert + 2 * expert);
  CHECK(weights.num_parameters() == total);
  CHECK(weights.num_active_parameters() == total - 6 * expert);
  CHECK_FALSE(weights.tensor("model.layers.1.mlp.gate.e_score_correction_bias").trainable);
  const Weights dense(tiny(kTinyQwen2));
  CHECK(dense.num_active_parameters() == dense.num_parameters());
}

TEST_CASE("initialize_weights: the same seed gives the same bits, another seed others",
          "[policy]") {
  const ModelConfig config = tiny(kTinyDeepseek);
  CHECK(copy(random_weights(config, 7).values()) == copy(random_weights(config, 7).values()));
  CHECK(copy(random_weights(config, 7).values()) != copy(random_weights(config, 8).values()));
  CHECK(copy(random_weights(config, 7).values()) !=
        copy(random_weights(config, 7 + (1ULL << 32)).values()));
}

TEST_CASE(
    "initialize_weights: norms one, biases zero, matrices normal, residual projections smaller",
    "[policy]") {
  ModelConfig config = tiny(kTinyQwen2);
  config.hidden_size = 200;
  config.vocab_size = 300;
  config.initializer_range = 0.5;
  const Weights weights = random_weights(config, 3);
  for (const float x : weights["model.layers.1.input_layernorm.weight"]) REQUIRE(x == 1.0F);
  for (const float x : weights["model.layers.1.self_attn.q_proj.bias"]) REQUIRE(x == 0.0F);

  const auto moment = [](std::span<const float> values, int power) {
    double sum = 0;
    for (const float x : values) sum += std::pow(x, power);
    return sum / static_cast<double>(values.size());
  };
  const auto embedding = weights["model.embed_tokens.weight"];  // 60,000 draws
  CHECK(std::abs(moment(embedding, 1)) < 5 * 0.5 / std::sqrt(60'000.0));
  CHECK(moment(embedding, 2) == Approx(0.25).epsilon(0.03));
  CHECK(moment(embedding, 4) ==
        Approx(3 * 0.0625).epsilon(0.08));  // 3σ⁴: the normal distribution's
  const double down = moment(weights["model.layers.0.mlp.down_proj.weight"], 2);  // 4,800 draws
  CHECK(down == Approx(0.25 / 4).epsilon(0.1));  // σ² / (2 · 2 layers)
}

TEST_CASE("initialize_weights: the selection bias starts at zero", "[policy]") {
  const Weights weights = random_weights(tiny(kTinyDeepseek), 1);
  for (const float x : weights["model.layers.1.mlp.gate.e_score_correction_bias"]) CHECK(x == 0.0F);
}

}  // namespace
}  // namespace zeroth
