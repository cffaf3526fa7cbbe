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

namespace zeroth {
namespace {

using testing::kTinyDeepseek;
using testing::kTinyQwen2;
using testing::TemporaryDirectory;

ModelConfig tiny(const char* text) {
  return parse_model_config(text, "config.json");
}

Weights random_weights(const ModelConfig& config, std::uint64_t seed) {
  Weights weights(config);
  initialize_weights(weights, config, seed);
  return weights;
}

std::vector<float> copy(std::span<const float> values) {
  return {values.begin(), values.end()};
}

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

TEST_CASE("weights: saved in fp32 they load with the same bits", "[policy]") {
  const ModelConfig config = tiny(kTinyDeepseek);
  const TemporaryDirectory dir;
  const Weights weights = random_weights(config, 5);
  save_weights(weights, dir.path(), false);
  CHECK(copy(load_weights(dir.path(), config).values()) == copy(weights.values()));
}

TEST_CASE("weights: saved in bf16 they load rounded, the selection bias exactly", "[policy]") {
  const ModelConfig config = tiny(kTinyDeepseek);
  const TemporaryDirectory dir;
  Weights weights = random_weights(config, 5);
  const std::string bias = "model.layers.1.mlp.gate.e_score_correction_bias";
  weights[bias][3] = 0.001F;
  save_weights(weights, dir.path(), true);
  const Weights loaded = load_weights(dir.path(), config);
  for (const WeightTensor& tensor : weights.tensors()) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.size); ++i) {
      const float x = weights[tensor.name][i];
      const float rounded = std::bit_cast<float>(std::uint32_t{bf16_from_float(x)} << 16U);
      REQUIRE(loaded[tensor.name][i] == (tensor.trainable ? rounded : x));
    }
  }
  CHECK(loaded[bias][3] == 0.001F);
}

TEST_CASE("load_weights: another shape, a missing, a further and a broken tensor are named",
          "[policy]") {
  const ModelConfig config = tiny(kTinyDeepseek);
  const TemporaryDirectory dir;
  save_weights(random_weights(config, 5), dir.path(), false);
  CHECK_THROWS_WITH(
      load_weights(dir.path(), tiny(kTinyQwen2)),
      Catch::Contains("q_proj.weight: expected a tensor of shape [16, 16], got nothing"));
  ModelConfig wider = config;
  wider.vocab_size = 41;
  CHECK_THROWS_WITH(load_weights(dir.path(), wider),
                    Catch::Contains("model.safetensors: model.embed_tokens.weight: expected a "
                                    "tensor of shape [41, 16], got [40, 16]"));
  ModelConfig shorter = config;
  shorter.layers.pop_back();
  CHECK_THROWS_WITH(load_weights(dir.path(), shorter),
                    Catch::Contains("model.layers.1.") && Catch::Contains("only tensors"));

  Weights broken = random_weights(config, 5);
  broken["lm_head.weight"][17] = std::nanf("");
  save_weights(broken, dir.path(), false);
  CHECK_THROWS_WITH(load_weights(dir.path(), config),
                    Catch::Contains("lm_head.weight[17]") && Catch::Contains("finite"));
}

TEST_CASE("load_weights: multi-token-prediction layers are passed over when the config has them",
          "[policy]") {
  ModelConfig config = tiny(kTinyDeepseek);
  const TemporaryDirectory dir;
  save_weights(random_weights(config, 5), dir.path(), false);
  config.layers.pop_back();
  const auto at = config.hf_json.find("\"n_group\"");
  config.hf_json.insert(at, "\"num_nextn_predict_layers\": 1, ");
  CHECK(load_weights(dir.path(), config).contains("lm_head.weight"));
}

TEST_CASE("load_weights: every checkpoint of a known family loads", "[fixtures]") {
  int num_loaded = 0;
  for (const auto& directory : testing::fixtures_in("model_parity")) {
    if (!std::filesystem::exists(directory / "config.json")) continue;
    CAPTURE(directory.string());
    ModelConfig config;
    try {
      config = read_model_config(directory / "config.json");
    } catch (const InputError& error) {
      CHECK(error.parts().field == "model_type");  // the others are known families
      continue;
    }
    const Weights weights = load_weights(directory, config);
    const TemporaryDirectory dir;
    save_weights(weights, dir.path(), false);
    CHECK(copy(load_weights(dir.path(), config).values()) == copy(weights.values()));
    ++num_loaded;
  }
  if (num_loaded == 0) WARN("skipped: no model_parity checkpoints in ZEROTH_FIXTURES");
}

}  // namespace
}  // namespace zeroth
