#include "policy/fp8_blocks.h"

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "policy/weights.h"
#include "system/error.h"
#include "system/file.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

using testing::TemporaryDirectory;

Fp8Blocks read(const std::string& quantization) {
  return read_fp8_blocks(
      JsonReader::parse("{\"quantization_config\": " + quantization + "}", "config.json"));
}

std::string field_of_error(const std::string& quantization) {
  try {
    read(quantization);
  } catch (const InputError& error) {
    return error.parts().field;
  }
  return "(no error)";
}

constexpr const char* kOfDeepseek =
    R"({"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [5, 7]})";

/// A checkpoint whose matrices but embeddings and head are fp8, with the values they stand for.
struct Fp8Checkpoint {
  explicit Fp8Checkpoint(const char* quantization = kOfDeepseek) {
    boost::json::object json = boost::json::parse(testing::kTinyDeepseek).as_object();
    json["quantization_config"] = boost::json::parse(quantization);
    write_file_atomically(directory / "config.json", boost::json::serialize(json));
    config = read_model_config(directory / "config.json");
    std::mt19937 random(3);
    for (const TensorSpec& spec : model_tensors(config)) {
      const bool is_fp8 = spec.shape.size() == 2 && !spec.name.ends_with("gate.weight") &&
                          !spec.name.ends_with("embed_tokens.weight") &&
                          spec.name != "lm_head.weight";
      is_fp8 ? add_fp8(spec, random) : add_float(spec, random);
    }
  }

  void add_float(const TensorSpec& spec, std::mt19937& random) {
    std::vector<float>& values = expected[spec.name];
    std::int64_t size = 1;
    for (const std::int64_t n : spec.shape) size *= n;
    for (std::int64_t i = 0; i < size; ++i)
      values.push_back(static_cast<float>(random() % 64) / 16 - 2);
    tensors[spec.name] = {.name = spec.name,
                          .type = TensorType::f32,
                          .shape = spec.shape,
                          .bytes = std::as_bytes(std::span(values))};
  }

  void add_fp8(const TensorSpec& spec, std::mt19937& random) {
    const std::int64_t rows = spec.shape[0], columns = spec.shape[1];
    const std::int64_t across = (columns + 6) / 7;
    std::vector<float>& s = scales[spec.name];
    for (std::int64_t i = 0; i < (rows + 4) / 5 * across; ++i)
      s.push_back(static_cast<float>(random() % 1000 + 1) * 1e-3F);
    std::vector<std::uint8_t>& c = codes[spec.name];
    std::vector<float>& values = expected[spec.name];
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        auto code = static_cast<std::uint8_t>(random());
        if ((code & 0x7FU) == 0x7FU) code = 0;
        c.push_back(code);
        values.push_back(float_from_e4m3(code) *
                         s[static_cast<std::size_t>(i / 5 * across + j / 7)]);
      }
    }
    tensors[spec.name] = {.name = spec.name,
                          .type = TensorType::f8_e4m3,
                          .shape = spec.shape,
                          .bytes = std::as_bytes(std::span(c))};
    tensors[spec.name + "_scale_inv"] = {.name = spec.name + "_scale_inv",
                                         .type = TensorType::f32,
                                         .shape = {(rows + 4) / 5, across},
                                         .bytes = std::as_bytes(std::span(s))};
  }

  Weights load() const {
    std::vector<TensorBytes> all;
    for (const auto& [name, tensor] : tensors) all.push_back(tensor);
    write_safetensors(directory / "model.safetensors", all);
    return load_weights(directory.path(), config);
  }

  TemporaryDirectory directory;
  ModelConfig config;
  std::map<std::string, TensorBytes> tensors;  // of the file
  std::map<std::string, std::vector<float>> expected, scales;
  std::map<std::string, std::vector<std::uint8_t>> codes;
};

constexpr const char* kWeight = "model.layers.1.self_attn.kv_b_proj.weight";  // [22, 8]

}  // namespace

TEST_CASE("fp8_blocks: what quantization_config may say", "[policy]") {
  CHECK(read_fp8_blocks(JsonReader::parse("{}", "config.json")).rows == 0);
  CHECK(read("null").rows == 0);
  CHECK(read(R"({"quant_method": "fp8"})").rows == 128);
  CHECK(read(R"({"quant_method": "fp8"})").columns == 128);
  CHECK(read(kOfDeepseek).rows == 5);
  CHECK(read(kOfDeepseek).columns == 7);
  CHECK(read(R"({"quant_method": "fp8", "scale_fmt": "ue8m0"})").rows == 128);
  for (const auto& [text, field] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "quant_method"},
           {R"({"quant_method": "gptq", "bits": 4})", "quant_method"},
           {R"({"quant_method": "fp8", "weight_block_size": null})", "weight_block_size"},
           {R"({"quant_method": "fp8", "weight_block_size": [128]})", "weight_block_size"},
           {R"({"quant_method": "fp8", "weight_block_size": [128, 0]})", "weight_block_size[1]"},
           {R"({"quant_method": "fp8", "weight_block_size": [9223372036854775807, 1]})",
            "weight_block_size[0]"},
           {R"({"quant_method": "fp8", "activation_scheme": "static"})", "activation_scheme"},
           {R"({"quant_method": "fp8", "expert_dtype": "fp4"})", "expert_dtype"},
           {R"({"quant_method": "fp8", "scale_fmt": "e4m3"})", "scale_fmt"}}) {
    INFO(text);
    CHECK(field_of_error(text) == "quantization_config." + field);
  }
}

TEST_CASE("fp8_blocks: a weight is its eight bits times the scale of its block", "[policy]") {
  const Fp8Checkpoint checkpoint;
  const Weights weights = checkpoint.load();
  for (const WeightTensor& tensor : weights.tensors()) {
    INFO(tensor.name);
    const auto values = weights[tensor.name];
    const auto& expected = checkpoint.expected.at(tensor.name);
    CHECK(std::equal(values.begin(), values.end(), expected.begin(), expected.end()));
  }
  CHECK(checkpoint.scales.size() > 20);
}

TEST_CASE("fp8_blocks: wherever the rows are cut, the scales are those of the whole", "[policy]") {
  std::vector<float> scales(3 * 3), values(11 * 8);
  for (std::size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(i + 1);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 13);
  const TensorBytes scale{.name = "s",
                          .type = TensorType::f32,
                          .shape = {3, 3},
                          .bytes = std::as_bytes(std::span(scales))};
  const Fp8Blocks blocks{.rows = 4, .columns = 3};
  std::vector<float> whole = values;
  multiply_by_scales(whole, 0, 8, scale, blocks);
  CHECK(whole[9 * 8 + 7] == values[9 * 8 + 7] * 9);
  for (std::size_t cut = 0; cut <= 11; ++cut) {
    std::vector<float> parts = values;
    multiply_by_scales(std::span(parts).first(cut * 8), 0, 8, scale, blocks);
    multiply_by_scales(std::span(parts).subspan(cut * 8), static_cast<std::int64_t>(cut), 8, scale,
                       blocks);
    CHECK(parts == whole);
    // The control: rows that are taken for others.
    std::vector<float> wrong = values;
    multiply_by_scales(std::span(wrong).subspan(cut * 8), 0, 8, scale, blocks);
    CHECK((wrong == whole) == (cut == 0));
  }
}

TEST_CASE("fp8_blocks: scales that are powers of two may be stored as such", "[policy]") {
  Fp8Checkpoint checkpoint;
  const std::string name = std::string(kWeight) + "_scale_inv";
  TensorBytes& scale = checkpoint.tensors.at(name);
  const std::vector<std::uint8_t> exponents(static_cast<std::size_t>(num_elements(scale)), 126);
  scale.type = TensorType::f8_e8m0;
  scale.bytes = std::as_bytes(std::span(exponents));
  const Weights weights = checkpoint.load();
  for (std::size_t i = 0; i < 22 * 8; ++i) {
    REQUIRE(weights[kWeight][i] == 0.5F * float_from_e4m3(checkpoint.codes.at(kWeight)[i]));
  }
}

TEST_CASE("fp8_blocks: written back, a model says nothing of eight bits", "[policy]") {
  const Fp8Checkpoint checkpoint;
  boost::json::object json = boost::json::parse(testing::kTinyDeepseek).as_object();
  CHECK(boost::json::parse(checkpoint.config.hf_json) == json);
  const Weights weights = checkpoint.load();
  const TemporaryDirectory again;
  save_weights(weights, again.path(), false);
  const Weights back =
      load_weights(again.path(), parse_model_config(checkpoint.config.hf_json, "x"));
  CHECK(std::equal(back.values().begin(), back.values().end(), weights.values().begin()));
}

TEST_CASE("fp8_blocks: scales that are missing, misshapen or of no use are named", "[policy]") {
  const std::string name = std::string(kWeight) + "_scale_inv";
  SECTION("missing") {
    Fp8Checkpoint checkpoint;
    checkpoint.tensors.erase(name);
    CHECK_THROWS_WITH(checkpoint.load(),
                      Catch::Contains("model.safetensors: " + name +
                                      ": expected scales of shape [5, 2] for the 5 x 7 blocks of "
                                      "F8_E4M3 [22, 8], got nothing"));
  }
  SECTION("of another shape") {
    Fp8Checkpoint checkpoint;
    checkpoint.tensors.at(name).shape = {10, 1};
    CHECK_THROWS_WITH(checkpoint.load(), Catch::Contains(name) && Catch::Contains("got [10, 1]"));
  }
  SECTION("of another type") {
    Fp8Checkpoint checkpoint;
    checkpoint.tensors.at(name).type = TensorType::i32;
    CHECK_THROWS_WITH(checkpoint.load(),
                      Catch::Contains(name + ".dtype: expected F32") && Catch::Contains("I32"));
  }
  SECTION("not a number") {
    Fp8Checkpoint checkpoint;
    checkpoint.scales.at(kWeight)[1] = std::nanf("");
    CHECK_THROWS_WITH(checkpoint.load(), Catch::Contains(std::string(kWeight) + "[7]"));
  }
  SECTION("for a weight that is not fp8") {
    Fp8Checkpoint checkpoint;
    TensorBytes& weight = checkpoint.tensors.at(kWeight);
    const std::vector<float> floats(22 * 8);
    weight.type = TensorType::f32;
    weight.bytes = std::as_bytes(std::span(floats));
    CHECK_THROWS_WITH(checkpoint.load(), Catch::Contains(name) && Catch::Contains("only tensors"));
  }
  SECTION("in a checkpoint whose config says nothing of them") {
    Fp8Checkpoint checkpoint;
    checkpoint.config.fp8_blocks = {};
    CHECK_THROWS_WITH(checkpoint.load(),
                      Catch::Contains("_scale_inv") && Catch::Contains("only tensors"));
  }
}

TEST_CASE("fp8_blocks: a code that is no number is named by its element", "[policy]") {
  Fp8Checkpoint checkpoint;
  checkpoint.codes.at(kWeight)[19] = 0x7F;
  CHECK_THROWS_WITH(checkpoint.load(),
                    Catch::Contains(std::string(kWeight) + "[19]: expected a finite number"));
}

}  // namespace zeroth
