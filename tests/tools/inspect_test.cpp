// zeroth inspect: what a checkpoint is, and everything that is wrong with it.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "policy/weights.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

struct Fixture {
  explicit Fixture(const char* json = testing::kTinyDeepseek) {
    testing::write_tiny_checkpoint(directory / "m", json);
  }
  /// Changes keys of a JSON file of the checkpoint.
  void edit(const std::string& name, const boost::json::object& changes) const {
    boost::json::object json = boost::json::parse(read_file(directory / "m" / name)).as_object();
    for (const auto& member : changes) json[member.key()] = member.value();
    write(directory / "m" / name, boost::json::serialize(json));
  }
  Weights weights() const {
    return load_weights(directory / "m", read_model_config(directory / "m/config.json"));
  }
  boost::json::object inspect(int exit_code, const std::string& flags = "") const {
    const Outcome outcome = zeroth_command(directory, "inspect m --json " + flags);
    INFO(outcome.err);
    CHECK(outcome.exit_code == exit_code);
    return boost::json::parse(outcome.out).as_object();
  }
  TemporaryDirectory directory;
};

std::string join(const boost::json::value& lines) {
  std::string text;
  for (const auto& line : lines.as_array()) text += std::string(line.as_string()) + "\n";
  return text;
}

}  // namespace

TEST_CASE("inspect: a checkpoint that is whole", "[tools]") {
  const Fixture fixture;
  write(fixture.directory / "m/chat_template.jinja", "{{ messages }}");
  const boost::json::object report = fixture.inspect(0);
  CHECK(report.at("problems").as_array().empty());
  CHECK(report.at("chat_templates") == boost::json::array{"default: chat_template.jinja"});
  CHECK(report.at("dtypes").at("F32").at("tensors").to_number<std::size_t>() ==
        report.at("tensors").as_array().size());
  CHECK(report.at("files").at(0).at("name") == "model.safetensors");
  CHECK_FALSE(report.at("files").at(0).as_object().contains("sha256"));
  CHECK(report.at("checksums") == "none");

  const Outcome text = zeroth_command(fixture.directory, "inspect m");
  CHECK(text.exit_code == 0);
  CHECK(contains(text.out, "no problems found"));
  CHECK(contains(text.out, "chat template: default: chat_template.jinja"));
  CHECK_FALSE(contains(text.out, "kv_b_proj"));
  CHECK(contains(zeroth_command(fixture.directory, "inspect m --tensors").out,
                 "model.layers.1.self_attn.kv_b_proj.weight"));
  const std::string sum = sha256_hex_of_file(fixture.directory / "m/model.safetensors");
  CHECK(fixture.inspect(0, "--checksums").at("files").at(0).at("sha256").as_string() == sum);
}

TEST_CASE("inspect: mean and deviation are those of the values", "[tools]") {
  const Fixture fixture;
  Weights weights = fixture.weights();
  const auto values = weights["lm_head.weight"];
  double sum = 0, squares = 0;
  for (const float x : values) sum += x;
  const double n = static_cast<double>(values.size()), mean = sum / n;
  for (const float x : values) squares += (x - mean) * (x - mean);
  const auto of_head = [](const boost::json::object& report) {
    for (const auto& tensor : report.at("tensors").as_array()) {
      if (tensor.at("name") == "lm_head.weight") return tensor.as_object();
    }
    return boost::json::object();
  };
  const boost::json::object head = of_head(fixture.inspect(0));
  CHECK(head.at("mean").as_double() == Approx(mean).epsilon(1e-9));
  CHECK(head.at("std").as_double() == Approx(std::sqrt(squares / (n - 1))).epsilon(1e-9));
  CHECK(of_head(fixture.inspect(0, "--quick")).at("mean").is_null());
}

TEST_CASE("inspect: every tensor that does not fit is named", "[tools]") {
  const Fixture fixture;
  Weights weights = fixture.weights();
  weights["model.norm.weight"][3] = std::nanf("");
  std::vector<TensorBytes> tensors = tensor_bytes(weights);
  std::erase_if(tensors, [](const TensorBytes& t) { return t.name == "lm_head.weight"; });
  const std::vector<std::int32_t> integers(16);
  for (TensorBytes& tensor : tensors) {
    if (tensor.name == "model.layers.0.input_layernorm.weight") tensor.shape = {4, 4};
    if (tensor.name == "model.layers.1.input_layernorm.weight") {
      tensor.type = TensorType::i32;
      tensor.bytes = std::as_bytes(std::span(integers));
    }
  }
  tensors.push_back({.name = "other",
                     .type = TensorType::i32,
                     .shape = {16},
                     .bytes = std::as_bytes(std::span(integers))});
  write_safetensors(fixture.directory / "m/model.safetensors", tensors);
  const std::string problems = join(fixture.inspect(2).at("problems"));
  INFO(problems);
  CHECK(contains(problems, "lm_head.weight: expected a tensor of shape [21, 16], got nothing"));
  CHECK(contains(
      problems,
      "model.layers.0.input_layernorm.weight: expected a tensor of shape [16], got [4, 4]"));
  CHECK(contains(problems, "model.layers.1.input_layernorm.weight.dtype: expected F64"));
  CHECK(contains(problems, "other: expected only tensors"));
  CHECK(contains(problems, "model.norm.weight: 1 values are not finite"));
  CHECK(join(fixture.inspect(2, "--quick").at("problems")).find("finite") == std::string::npos);
}

TEST_CASE("inspect: ids and types that contradict each other", "[tools]") {
  const Fixture fixture;
  const std::int64_t eos = testing::sums_tokenizer().eos_id().value();
  fixture.edit("config.json",
               {{"torch_dtype", "bfloat16"}, {"architectures", {"LlamaForCausalLM"}}});
  write(fixture.directory / "m/generation_config.json", R"({"eos_token_id": [3, 4]})");
  const boost::json::object noted = fixture.inspect(0);
  const std::string notes = join(noted.at("notes"));
  INFO(notes);
  CHECK(contains(notes, "said to be BF16"));
  CHECK(contains(notes, "LlamaForCausalLM"));
  CHECK(contains(notes, "[3, 4] is not config.json's [" + std::to_string(eos) + "]"));

  write(fixture.directory / "m/generation_config.json", R"({"eos_token_id": 21})");
  CHECK(
      contains(join(fixture.inspect(2).at("problems")),
               "generation_config.json: eos_token_id: expected a token id below vocab_size (21)"));
  fs::remove(fixture.directory / "m/generation_config.json");
  fixture.edit("config.json", {{"pad_token_id", 30}});
  CHECK(contains(join(fixture.inspect(2).at("problems")), "pad_token_id"));
  fixture.edit("config.json", {{"pad_token_id", nullptr}, {"eos_token_id", 2}});
  CHECK(contains(join(fixture.inspect(0).at("notes")),
                 "eos_token is " + std::to_string(eos) + ", which is no eos_token_id"));
}

TEST_CASE(
    "inspect: without a tokenizer there is a note, with a larger one than the model a problem",
    "[tools]") {
  const Fixture fixture;
  ByteLevelOptions options;
  options.alphabet = "0123456789+=;?abc";
  Tokenizer::byte_level(options).save(fixture.directory / "m");
  CHECK(
      contains(join(fixture.inspect(2).at("problems")), "at most vocab_size (21) tokens, got 24"));
  fs::remove(fixture.directory / "m/tokenizer.json");
  const boost::json::object report = fixture.inspect(0);
  CHECK(contains(join(report.at("notes")), "tokenizer.json: there is none"));
  CHECK(report.at("tokenizer_tokens").to_number<int>() == 0);
}

TEST_CASE("inspect: a chat template that is damaged is a problem, none is none", "[tools]") {
  const Fixture fixture;
  CHECK(fixture.inspect(0).at("chat_templates").as_array().empty());
  CHECK(contains(zeroth_command(fixture.directory, "inspect m").out, "chat template: none"));
  fixture.edit("tokenizer_config.json", {{"chat_template", 5}});
  CHECK(contains(join(fixture.inspect(2).at("problems")), "chat_template"));
}

}  // namespace zeroth
