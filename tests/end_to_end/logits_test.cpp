// zeroth logits as a user meets it, and beside transformers where its logits are at hand.

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "policy/safetensors.h"
#include "system/error.h"
#include "tests/support/fixtures.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

std::vector<float> floats(const TensorBytes& tensor) {
  std::vector<float> values(static_cast<std::size_t>(num_elements(tensor)));
  copy_to_float(tensor, values, "test");
  return values;
}

std::string ids_flag(const TensorBytes& tensor) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(num_elements(tensor)));
  copy_to_int64(tensor, ids, "test");
  std::string flag = "--ids ";
  for (const std::int64_t id : ids) flag += (flag.size() > 6 ? "," : "") + std::to_string(id);
  return flag;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("logits: tokens give a file, the same numbers as JSON and as the text gives",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  testing::write_tiny_checkpoint(directory / "model", testing::kTinyDeepseek);
  const std::vector<std::int32_t> ids = testing::sums_tokenizer().encode("12=");
  REQUIRE(ids.size() == 3);
  const std::string flag = "--ids " + std::to_string(ids[0]) + "," + std::to_string(ids[1]) + "," +
                           std::to_string(ids[2]);
  REQUIRE(zeroth_command(directory, "logits model --out l.safetensors " + flag).exit_code == 0);
  const SafetensorsFile file(directory / "l.safetensors");
  REQUIRE(file.tensors().size() == 1);
  const TensorBytes& logits = file.tensor("logits");
  CHECK(logits.type == TensorType::f32);
  CHECK(logits.shape == std::vector<std::int64_t>{3, 21});

  const Outcome text = zeroth_command(directory, "logits model --text 12=");
  REQUIRE(text.exit_code == 0);
  const boost::json::object json = boost::json::parse(text.out).as_object();
  CHECK(json.at("text_ids") == boost::json::array(ids.begin(), ids.end()));
  std::vector<float> of_text;
  for (const auto& row : json.at("logits").as_array()[0].as_array()) {
    for (const auto& value : row.as_array()) of_text.push_back(value.to_number<float>());
  }
  CHECK(of_text == floats(logits));

  // Neither the tokenizer nor a name for the text is needed with tokens.
  std::filesystem::remove(directory / "model/tokenizer.json");
  const Outcome bare = zeroth_command(directory, "logits model " + flag);
  REQUIRE(bare.exit_code == 0);
  CHECK(boost::json::parse(bare.out).as_object().at("logits") == json.at("logits"));
  CHECK(zeroth_command(directory, "logits model --text 12=").exit_code == 2);
}

TEST_CASE("logits: bfloat16 rounds, float32 does not", "[end_to_end]") {
  const TemporaryDirectory directory;
  testing::write_tiny_checkpoint(directory / "model", testing::kTinyQwen2);
  for (const char* dtype : {"float32", "bfloat16"}) {
    REQUIRE(zeroth_command(directory, std::string("logits model --ids 1,2,11 --dtype ") + dtype +
                                          " --out " + dtype)
                .exit_code == 0);
  }
  REQUIRE(zeroth_command(directory, "logits model --ids 1,2,11 --out default").exit_code == 0);
  const auto f32 = floats(SafetensorsFile(directory / "float32").tensor("logits"));
  const auto bf16 = floats(SafetensorsFile(directory / "bfloat16").tensor("logits"));
  CHECK(floats(SafetensorsFile(directory / "default").tensor("logits")) == f32);
  const float difference = largest_difference(f32, bf16);
  CHECK(difference > 1e-5F);
  CHECK(difference < 0.5F);
}

TEST_CASE("logits: --experts adds where each token is sent, and a dense model has none",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  testing::write_tiny_checkpoint(directory / "model", testing::kTinyQwen3Moe);
  testing::write_tiny_checkpoint(directory / "dense", testing::kTinyQwen2);
  const std::string flags = " --ids 1,2,11 --experts ";
  REQUIRE(zeroth_command(directory, "logits model --out l" + flags).exit_code == 0);
  const SafetensorsFile file(directory / "l");
  REQUIRE(file.tensors().size() == 2);  // the second of three layers has experts, 2 of 6 a token
  const TensorBytes& experts = file.tensor("experts.1");
  CHECK(experts.type == TensorType::i32);
  REQUIRE(experts.shape == std::vector<std::int64_t>{3, 2});
  std::vector<std::int64_t> ids(6);
  copy_to_int64(experts, ids, "test");
  for (std::size_t t = 0; t < 3; ++t) CHECK(ids[2 * t] != ids[2 * t + 1]);
  CHECK(*std::min_element(ids.begin(), ids.end()) >= 0);
  CHECK(*std::max_element(ids.begin(), ids.end()) < 6);

  const Outcome json = zeroth_command(directory, "logits model" + flags);
  REQUIRE(json.exit_code == 0);
  std::vector<std::int64_t> printed;
  const boost::json::value value = boost::json::parse(json.out);
  for (const auto& row : value.at("experts").at("1").as_array()[0].as_array()) {
    for (const auto& id : row.as_array()) printed.push_back(id.as_int64());
  }
  CHECK(printed == ids);
  REQUIRE(zeroth_command(directory, "logits dense --out d" + flags).exit_code == 0);
  CHECK(SafetensorsFile(directory / "d").tensors().size() == 1);
}

TEST_CASE("logits: wrong tokens are named", "[end_to_end]") {
  const TemporaryDirectory directory;
  testing::write_tiny_checkpoint(directory / "model", testing::kTinyQwen2);
  std::string many = "1";
  for (int i = 0; i < 128; ++i) many += ",1";
  for (const auto& [flags, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "ids: expected tokens, or a text, got neither"},
           {"--ids 1 --text 2", "expected tokens or a text, got both"},
           {"--ids 1,21", "ids[1]: expected a token from 0 to 20, got 21"},
           {"--ids=-1", "ids[0]: expected a token from 0 to 20, got -1"},
           {"--ids 1,x", "x"},
           {"--ids " + many, "1 to 128 tokens (max_position_embeddings), got 129"}}) {
    const Outcome outcome = zeroth_command(directory, "logits model " + flags);
    INFO(flags << ": " << outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(contains(outcome.err, part));
  }
}

TEST_CASE("logits: those of transformers, for every checkpoint", "[fixtures]") {
  int num_checked = 0;
  for (const auto& checkpoint : testing::fixtures_in("model_parity")) {
    if (!std::filesystem::exists(checkpoint / "expected.safetensors")) continue;
    INFO(checkpoint.string());
    const TemporaryDirectory directory;
    const SafetensorsFile expected(checkpoint / "expected.safetensors");
    for (const std::string suffix : {"", "_2"}) {
      if (expected.find("logits" + suffix) == nullptr) continue;
      const Outcome outcome = zeroth_command(
          directory, "logits '" + checkpoint.string() + "' --dtype float32 --out l " +
                         ids_flag(expected.tensor("input_ids" + suffix)));
      INFO(outcome.err);
      REQUIRE(outcome.exit_code == 0);
      const SafetensorsFile file(directory / "l");
      CHECK(file.tensor("logits").shape.size() == 2);
      CHECK(largest_difference(floats(file.tensor("logits")),
                               floats(expected.tensor("logits" + suffix))) < 1e-4F);
      ++num_checked;
    }
  }
  if (num_checked == 0) WARN("skipped: no model_parity checkpoints in ZEROTH_FIXTURES");
}

}  // namespace zeroth
