#include "policy/hf_model.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "policy/tokenizer.h"
#include "system/error.h"
#include "system/file.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

struct Fixture {
  explicit Fixture(const char* json = testing::kTinyDeepseek)
      : config(parse_model_config(testing::sums_config(json), "tiny")), weights(config) {
    testing::write_tiny_checkpoint(root / "from", json);
    initialize_weights(weights, config, 7);
    fs::create_directory(root / "to");
  }
  void write(const HfModelOptions& options) const {
    write_hf_model(root / "to", config, weights, root / "from", options);
  }
  boost::json::object json(const char* name) const {
    return boost::json::parse(read_file(root / "to" / name)).as_object();
  }
  TemporaryDirectory root;
  ModelConfig config;
  Weights weights;
};

}  // namespace

TEST_CASE("hf_model: float32 comes back bit for bit, however it is cut", "[policy]") {
  for (const std::int64_t shard_bytes :
       {std::int64_t{1} << 40, std::int64_t{2000}, std::int64_t{1}}) {
    INFO(shard_bytes);
    const Fixture fixture;
    fixture.write({.type = TensorType::f32, .max_shard_bytes = shard_bytes});
    const Weights back =
        load_weights(fixture.root / "to", read_model_config(fixture.root / "to" / "config.json"));
    CHECK(std::equal(back.values().begin(), back.values().end(), fixture.weights.values().begin()));
    const bool whole = fs::exists(fixture.root / "to" / "model.safetensors");
    CHECK(whole == (shard_bytes == std::int64_t{1} << 40));
  }
}

TEST_CASE("hf_model: shards are numbered, and the index says where each tensor is", "[policy]") {
  const Fixture fixture(testing::kTinyQwen2);
  fixture.write({.type = TensorType::bf16, .max_shard_bytes = 2500});
  const boost::json::object index = fixture.json("model.safetensors.index.json");
  std::size_t num_shards = 0, num_tensors = 0;
  for (const auto& entry : fs::directory_iterator(fixture.root / "to")) {
    if (entry.path().extension() != ".safetensors") continue;
    ++num_shards;
    std::int64_t bytes = 0;
    const SafetensorsFile file(entry.path());
    for (const TensorBytes& tensor : file.tensors()) {
      bytes += static_cast<std::int64_t>(tensor.bytes.size());
      ++num_tensors;
      CHECK(index.at("weight_map").at(tensor.name).as_string() == entry.path().filename().string());
    }
    CHECK(bytes <= 2500);
  }
  CHECK(num_shards > 1);
  CHECK(num_tensors == fixture.weights.tensors().size());
  std::string first = std::to_string(num_shards);
  first = "model-00001-of-" + std::string(5 - first.size(), '0') + first + ".safetensors";
  CHECK(fs::exists(fixture.root / "to" / first));
  CHECK(index.at("metadata").at("total_size").as_int64() == 2 * fixture.weights.num_parameters());
}

TEST_CASE("hf_model: sixteen bits are the nearest, and selection biases stay float32", "[policy]") {
  for (const TensorType type : {TensorType::f16, TensorType::bf16}) {
    const Fixture fixture;
    fixture.write({.type = type});
    const SafetensorsFile file(fixture.root / "to" / "model.safetensors");
    const TensorBytes& norm = file.tensor("model.norm.weight");
    CHECK(norm.type == type);
    CHECK(file.tensor("model.layers.1.mlp.gate.e_score_correction_bias").type == TensorType::f32);
    const TensorBytes& stored = file.tensor("model.embed_tokens.weight");
    const auto expected = fixture.weights["model.embed_tokens.weight"];
    std::vector<float> actual(expected.size());
    copy_to_float(stored, actual, "test");
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const float nearest = type == TensorType::f16 ? float_from_f16(f16_from_float(expected[i]))
                                                    : float_from_bf16(bf16_from_float(expected[i]));
      REQUIRE(actual[i] == nearest);
    }
  }
}

TEST_CASE("hf_model: config.json says the type and the class, and keeps the rest", "[policy]") {
  const Fixture fixture(testing::kTinyQwen2);
  fixture.write({.type = TensorType::f16});
  const boost::json::object before = boost::json::parse(fixture.config.hf_json).as_object();
  boost::json::object after = fixture.json("config.json");
  CHECK(after.at("torch_dtype").as_string() == "float16");
  after.erase("torch_dtype");
  CHECK(after == before);

  Fixture bare(testing::kTinyQwen2);
  boost::json::object json = before;
  json.erase("architectures");
  json["dtype"] = "float32";
  bare.config = parse_model_config(boost::json::serialize(json), "bare");
  bare.write({.type = TensorType::bf16});
  CHECK(bare.json("config.json").at("architectures").as_array()[0].as_string() ==
        "Qwen2ForCausalLM");
  CHECK(bare.json("config.json").at("dtype").as_string() == "bfloat16");
}

TEST_CASE("hf_model: side files are copied, and those that are missing are made", "[policy]") {
  const Fixture fixture(testing::kTinyQwen2);
  std::ofstream(fixture.root / "from" / "chat_template.jinja") << "{{ messages }}";
  std::filesystem::create_directory(fixture.root / "from" / "additional_chat_templates");
  std::ofstream(fixture.root / "from" / "additional_chat_templates" / "rag.jinja") << "r";
  std::ofstream(fixture.root / "from" / "optimizer.safetensors") << "not ours";
  fs::remove(fixture.root / "from" / "tokenizer_config.json");
  fixture.write({});
  CHECK(read_file(fixture.root / "to" / "chat_template.jinja") == "{{ messages }}");
  CHECK(read_file(fixture.root / "to" / "additional_chat_templates" / "rag.jinja") == "r");
  CHECK_FALSE(fs::exists(fixture.root / "to" / "optimizer.safetensors"));
  CHECK(fixture.json("generation_config.json").at("eos_token_id").as_int64() == 16);
  CHECK(fixture.json("tokenizer_config.json").at("tokenizer_class").as_string() ==
        "PreTrainedTokenizerFast");
  const Tokenizer tokenizer = Tokenizer::load(fixture.root / "to");
  CHECK(tokenizer.eos_id() == 16);
  CHECK(tokenizer.bos_id() == 15);
}

TEST_CASE("hf_model: a model without a tokenizer is written without one", "[policy]") {
  const Fixture fixture(testing::kTinyQwen2);
  fs::remove(fixture.root / "from" / "tokenizer.json");
  fs::remove(fixture.root / "from" / "tokenizer_config.json");
  fixture.write({});
  CHECK_FALSE(fs::exists(fixture.root / "to" / "tokenizer_config.json"));
  CHECK(fs::exists(fixture.root / "to" / "generation_config.json"));
  CHECK(load_weights(fixture.root / "to", fixture.config).contains("model.norm.weight"));
}

TEST_CASE("hf_model: a weight that the type cannot hold is named", "[policy]") {
  Fixture fixture(testing::kTinyQwen2);
  fixture.weights["model.norm.weight"][3] = 1e6F;
  CHECK_NOTHROW(fixture.write({.type = TensorType::bf16}));
  CHECK_THROWS_WITH(fixture.write({.type = TensorType::f16}),
                    Catch::Contains("model.norm.weight: expected numbers that F16 can hold"));
  fixture.weights["model.norm.weight"][3] = INFINITY;
  CHECK_THROWS_AS(fixture.write({.type = TensorType::f32}), InputError);
}

}  // namespace zeroth
