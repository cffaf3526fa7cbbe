// The multi-token-prediction modules of a checkpoint: found, carried along, trained with the model,
// written back.
#include "policy/mtp_checkpoint.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "policy/hf_model.h"
#include "policy/weights.h"
#include "system/error.h"
#include "system/json.h"
#include "tests/support/fixtures.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

struct Stored {
  TensorType type;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
  bool operator==(const Stored&) const = default;
};

std::map<std::string, Stored> stored(const fs::path& directory) {
  const SafetensorsCheckpoint checkpoint(directory);
  std::map<std::string, Stored> all;
  for (const std::string& name : checkpoint.names()) {
    const TensorBytes& tensor = *checkpoint.find(name).tensor;
    all[name] = {tensor.type, tensor.shape, {tensor.bytes.begin(), tensor.bytes.end()}};
  }
  return all;
}

// The names of the tensors that differ or are in one alone.
std::vector<std::string> differences(const std::map<std::string, Stored>& a,
                                     const std::map<std::string, Stored>& b) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : a) {
    const auto found = b.find(name);
    if (found == b.end() || !(found->second == tensor)) names.push_back(name);
  }
  for (const auto& [name, tensor] : b) {
    if (!a.contains(name)) names.push_back(name);
  }
  return names;
}

const std::vector<std::vector<MtpConfig>> kModules = {
    {{}},
    {{.own_embedding = true, .copied_head = true}},
    {{.copied_embedding = true, .copied_head = true}, {.own_embedding = true, .own_head = true}}};

}  // namespace

TEST_CASE("mtp_checkpoint: what each module has of its own is found", "[policy]") {
  for (const auto& modules : kModules) {
    const TemporaryDirectory directory;
    ModelConfig config = testing::write_tiny_mtp_checkpoint(
        directory / "model", testing::kTinyDeepseek, modules, TensorType::f32);
    CHECK(config.mtp.empty());
    CHECK(config.num_nextn_predict_layers == static_cast<std::int64_t>(modules.size()));
    train_mtp(config, directory / "model");
    REQUIRE(config.mtp.size() == modules.size());
    for (std::size_t k = 0; k < modules.size(); ++k) {
      CHECK(config.mtp[k].own_embedding == modules[k].own_embedding);
      CHECK(config.mtp[k].own_head == modules[k].own_head);
      CHECK(config.mtp[k].copied_embedding == modules[k].copied_embedding);
      CHECK(config.mtp[k].copied_head == modules[k].copied_head);
    }
  }
}

TEST_CASE("mtp_checkpoint: modules come back byte for byte, trained or not", "[policy]") {
  for (const char* json : {testing::kTinyDeepseek, testing::kTinyGlm4Moe}) {
    for (const auto& modules : kModules) {
      for (const TensorType type : {TensorType::f32, TensorType::bf16}) {
        const TemporaryDirectory directory;
        ModelConfig config =
            testing::write_tiny_mtp_checkpoint(directory / "model", json, modules, type);
        const auto before = stored(directory / "model");
        for (const bool trained : {false, true}) {
          if (trained) train_mtp(config, directory / "model");
          const Weights weights = load_weights(directory / "model", config);
          CHECK(weights.beside().kept.empty() == trained);
          CHECK(weights.contains("model.layers.2.eh_proj.weight") == trained);
          fs::create_directories(directory / "saved");
          save_weights(weights, directory / "saved", type == TensorType::bf16);
          CHECK(differences(stored(directory / "saved"), before).empty());
          fs::create_directories(directory / "shards");
          write_hf_model(directory / "shards", config, weights, directory / "model",
                         {.type = type, .max_shard_bytes = 20'000});
          CHECK(fs::exists(directory / "shards/model.safetensors.index.json"));
          CHECK(differences(stored(directory / "shards"), before).empty());
          fs::remove_all(directory / "saved");
          fs::remove_all(directory / "shards");
        }
      }
    }
  }
}

TEST_CASE("mtp_checkpoint: what is not trained keeps its type and its numbers when others change",
          "[policy]") {
  const TemporaryDirectory directory;
  ModelConfig config = testing::write_tiny_mtp_checkpoint(
      directory / "model", testing::kTinyDeepseek, {{.copied_embedding = true}}, TensorType::bf16);
  const auto before = stored(directory / "model");
  Weights weights = load_weights(directory / "model", config);
  weights["model.embed_tokens.weight"][0] += 1.0F;
  fs::create_directories(directory / "saved");
  save_weights(weights, directory / "saved", false);
  for (const auto& [name, tensor] : stored(directory / "saved")) {
    INFO(name);
    const bool in_fp32_anyway = name.ends_with("e_score_correction_bias");
    if (!in_fp32_anyway) CHECK((tensor == before.at(name)) == is_mtp_tensor(name, config));
  }
  // Trained, the copy is of the model as it is now.
  train_mtp(config, directory / "model");
  Weights trained = load_weights(directory / "model", config);
  trained["model.embed_tokens.weight"][0] += 1.0F;
  save_weights(trained, directory / "saved", true);
  const auto after = stored(directory / "saved");
  CHECK(after.at("model.layers.2.embed_tokens.weight") == after.at("model.embed_tokens.weight"));
  CHECK(
      differences(after, before) ==
      std::vector<std::string>{"model.embed_tokens.weight", "model.layers.2.embed_tokens.weight"});
}

TEST_CASE("mtp_checkpoint: a checkpoint without modules and one with a part of them", "[policy]") {
  const TemporaryDirectory directory;
  ModelConfig none = testing::write_tiny_mtp_checkpoint(directory / "none", testing::kTinyDeepseek,
                                                        {}, TensorType::f32);
  CHECK_THROWS_WITH(train_mtp(none, directory / "none"),
                    Catch::Contains("num_nextn_predict_layers: expected at least 1"));
  // config.json counts a module, the files hold none: fine unless it is to be trained.
  std::ofstream(directory / "none/config.json")
      << testing::sums_config_with_modules(testing::kTinyDeepseek, 1);
  ModelConfig counted = read_model_config(directory / "none/config.json");
  CHECK(load_weights(directory / "none", counted).beside().kept.empty());
  train_mtp(counted, directory / "none");
  CHECK_THROWS_WITH(load_weights(directory / "none", counted),
                    Catch::Contains("model.layers.2.enorm.weight"));
  ModelConfig tied =
      parse_model_config(testing::sums_config_with_modules(testing::kTinyQwen2, 1), "test");
  CHECK_THROWS_WITH(train_mtp(tied, directory / "none"), Catch::Contains("tie_word_embeddings"));
  // One more than config.json counts is a tensor too many.
  ModelConfig two = testing::write_tiny_mtp_checkpoint(directory / "two", testing::kTinyDeepseek,
                                                       {{}, {}}, TensorType::f32);
  std::ofstream(directory / "two/config.json")
      << testing::sums_config_with_modules(testing::kTinyDeepseek, 1);
  CHECK_THROWS_WITH(
      load_weights(directory / "two", read_model_config(directory / "two/config.json")),
      Catch::Contains("model.layers.3."));
  for (const std::int64_t count : {-1, 65}) {
    CHECK_THROWS_WITH(parse_model_config(
                          testing::sums_config_with_modules(testing::kTinyDeepseek, count), "test"),
                      Catch::Contains("num_nextn_predict_layers: expected from 0 to 64"));
  }
}

TEST_CASE("hf_model: every parity checkpoint comes back byte for byte, with its config.json",
          "[policy][fixtures]") {
  for (const fs::path& checkpoint : testing::fixtures_in("model_parity")) {
    if (!fs::exists(checkpoint / "config.json")) continue;
    INFO(checkpoint.string());
    const TemporaryDirectory directory;
    fs::create_directories(directory / "tokenizer");
    testing::sums_tokenizer().save(directory / "tokenizer");
    const JsonReader json = JsonReader::read(checkpoint / "config.json");
    const bool bf16 = json.get_string("torch_dtype", "float32") == "bfloat16";
    const ModelConfig config = read_model_config(checkpoint / "config.json");
    fs::create_directories(directory / "saved");
    write_hf_model(directory / "saved", config, load_weights(checkpoint, config),
                   directory / "tokenizer", {.type = bf16 ? TensorType::bf16 : TensorType::f32});
    CHECK(differences(stored(directory / "saved"), stored(checkpoint)).empty());
    CHECK(JsonReader::read(directory / "saved/config.json").value() == json.value());
  }
}

}  // namespace zeroth
