// Weights from files and to them.
#include "policy/weights.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <optional>
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

TEST_CASE("weights: saved in fp32 they load with the same bits", "[policy]") {
  const ModelConfig config = tiny(kTinyDeepseek);
  const TemporaryDirectory dir;
  const Weights weights = random_weights(config, 5);
  save_weights(weights, dir.path(), false);
  CHECK(copy(load_weights(dir.path(), config).values()) == copy(weights.values()));
}

TEST_CASE(
    "weights: tensors that are converted in pieces load with the same bits, and what is wrong "
    "in a late piece is found",
    "[policy]") {
  ModelConfig config = tiny(kTinyQwen2);
  config.vocab_size = 150'001;  // times 16: three pieces
  Weights weights = random_weights(config, 5);
  const TemporaryDirectory dir;
  save_weights(weights, dir.path(), false);
  CHECK(copy(load_weights(dir.path(), config).values()) == copy(weights.values()));
  weights["model.embed_tokens.weight"][2'400'003] = std::nanf("");
  weights["model.embed_tokens.weight"][2'400'001] = std::nanf("");
  save_weights(weights, dir.path(), false);
  CHECK_THROWS_WITH(load_weights(dir.path(), config),
                    Catch::Contains("model.embed_tokens.weight[2400001]"));
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
                    Catch::Contains("model.layers.1.") && Catch::Contains("only tensors") &&
                        Catch::Contains("this one and 37 more, such as model.layers.1."));

  Weights broken = random_weights(config, 5);
  broken["lm_head.weight"][17] = std::nanf("");
  save_weights(broken, dir.path(), false);
  CHECK_THROWS_WITH(load_weights(dir.path(), config),
                    Catch::Contains("lm_head.weight[17]") && Catch::Contains("finite"));
}

TEST_CASE(
    "load_weights: multi-token-prediction layers stand beside the weights when the config has them",
    "[policy]") {
  ModelConfig config = tiny(kTinyDeepseek);
  const TemporaryDirectory dir;
  save_weights(random_weights(config, 5), dir.path(), false);
  config.layers.pop_back();
  config.num_nextn_predict_layers = 1;
  const Weights weights = load_weights(dir.path(), config);
  CHECK(weights.contains("lm_head.weight"));
  CHECK_FALSE(weights.contains("model.layers.1.input_layernorm.weight"));
  CHECK(weights.beside().kept.size() == 38);
}

TEST_CASE("load_weights: every checkpoint loads", "[fixtures]") {
  int num_loaded = 0;
  for (const auto& directory : testing::fixtures_in("model_parity")) {
    if (!std::filesystem::exists(directory / "config.json")) continue;
    CAPTURE(directory.string());
    const ModelConfig config = read_model_config(directory / "config.json");
    const Weights weights = load_weights(directory, config);
    const TemporaryDirectory dir;
    save_weights(weights, dir.path(), false);
    CHECK(copy(load_weights(dir.path(), config).values()) == copy(weights.values()));
    ++num_loaded;
  }
  if (num_loaded == 0) WARN("skipped: no model_parity checkpoints in ZEROTH_FIXTURES");
}

/// The type that all tensors of a checkpoint but its biases of selection have, if there is one.
std::optional<TensorType> common_type(const SafetensorsCheckpoint& files) {
  std::optional<TensorType> type;
  for (const std::string& name : files.names()) {
    if (name.ends_with("e_score_correction_bias")) continue;
    const TensorType one = files.find(name).tensor->type;
    if (type && *type != one) return std::nullopt;
    type = one;
  }
  return type;
}

TEST_CASE("weights: loaded and saved in their own type, tensors have the same bytes",
          "[fixtures]") {
  int num_checked = 0;
  for (const auto& directory : testing::fixtures_in("model_parity")) {
    if (!std::filesystem::exists(directory / "config.json")) continue;
    INFO(directory.string());
    const SafetensorsCheckpoint before(directory);
    const auto type = common_type(before);
    if (type != TensorType::f32 && type != TensorType::bf16) continue;
    const ModelConfig config = read_model_config(directory / "config.json");
    const TemporaryDirectory dir;
    save_weights(load_weights(directory, config), dir.path(), type == TensorType::bf16);
    const SafetensorsCheckpoint after(dir.path());
    for (const std::string& name : after.names()) {
      INFO(name);
      const TensorBytes* old = before.find(name).tensor;
      const TensorBytes* saved = after.find(name).tensor;
      REQUIRE(old != nullptr);
      REQUIRE(saved->type == old->type);
      REQUIRE(saved->shape == old->shape);
      REQUIRE(std::equal(saved->bytes.begin(), saved->bytes.end(), old->bytes.begin(),
                         old->bytes.end()));
    }
    ++num_checked;
  }
  if (num_checked == 0) WARN("skipped: no model_parity checkpoints in ZEROTH_FIXTURES");
}

}  // namespace
}  // namespace zeroth
