// zeroth export and what zeroth makes of its output.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "policy/gguf.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

Outcome run(const TemporaryDirectory& directory, const std::string& arguments) {
  Outcome outcome = zeroth_command(directory, arguments);
  INFO(arguments);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return outcome;
}

void init(const TemporaryDirectory& directory, const std::string& architecture) {
  run(directory, "init --preset " + architecture +
                     " --tokenizer '0123456789+=;?' --output_dir model --seed 3");
}

std::string greedy(const TemporaryDirectory& directory, const std::string& model) {
  return run(directory, "sample --model_name_or_path " + model +
                            " --prompt 1+1= --temperature 0 --dtype float32 --json")
      .out;
}

}  // namespace

TEST_CASE("export: a Hugging Face directory is a checkpoint that samples alike", "[end_to_end]") {
  const TemporaryDirectory directory;
  init(directory, "tiny-mla-moe");
  std::ofstream(directory / "model" / "optimizer.safetensors") << "left behind";
  run(directory, "export model --format hf --dtype f32 --output out/f32 --max_shard_bytes 1000000");
  CHECK(fs::exists(directory / "out/f32/model.safetensors.index.json"));
  CHECK(fs::exists(directory / "out/f32/generation_config.json"));
  CHECK(fs::exists(directory / "out/f32/tokenizer_config.json"));
  CHECK_FALSE(fs::exists(directory / "out/f32/optimizer.safetensors"));
  CHECK(contains(run(directory, "inspect out/f32").out, "checksums: verified"));
  CHECK(greedy(directory, "out/f32") == greedy(directory, "model"));
  run(directory, "export model --format hf --dtype bf16 --output out/bf16");
  CHECK(contains(run(directory, "inspect out/bf16").out, " tensors BF16,"));
}

TEST_CASE("export: inspect says what a GGUF file is", "[end_to_end]") {
  const TemporaryDirectory directory;
  init(directory, "tiny-dense");
  std::ofstream(directory / "model" / "chat_template.jinja") << "{{ messages }}";
  run(directory, "export model --format gguf --dtype q8_0 --output a.gguf --name Fritz");
  const std::string text = run(directory, "inspect a.gguf").out;
  CHECK(contains(text, "GGUF version 3"));
  CHECK(contains(text, "(21 F32, 30 Q8_0)"));
  CHECK(contains(text, "general.name = \"Fritz\""));
  CHECK(contains(text, "no problems found"));
  const auto json = boost::json::parse(run(directory, "inspect a.gguf --json").out).as_object();
  CHECK(json.at("format").as_string() == "gguf");
  CHECK(json.at("metadata").at("tokenizer.chat_template").as_string() == "{{ messages }}");
  CHECK(json.at("metadata").at("tokenizer.ggml.tokens").as_array().size() == 21);
  CHECK(json.at("tensors").as_array().size() == 51);

  fs::resize_file(directory / "a.gguf", fs::file_size(directory / "a.gguf") - 100);
  const Outcome cut = zeroth_command(directory, "inspect a.gguf");
  CHECK(cut.exit_code == 2);
  CHECK(contains(cut.err, "a.gguf: output.weight: expected "));
}

TEST_CASE("export: inspect lets nothing of a file's names and texts command the terminal",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  write_gguf(directory / "hostile.gguf",
             {{"general.architecture", std::string("llama")},
              {"evil\x1B[2J", std::string("\u009B31mred\x7F") + std::string(90, 'x')},
              {"long", std::string(58, 'x') + "\u4E2D\u6587"}},
             {{"te\x1B]0;title\x07nsor", GgufType::f32, {1}, [] { return std::vector{1.0F}; }}});
  {
    std::fstream file(directory / "hostile.gguf", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-32, std::ios::end);  // the tensor's number, then zeros up to the alignment
    file.write("\xFF\xFF\xFF\xFF", 4);
  }
  const Outcome outcome = zeroth_command(directory, "inspect hostile.gguf");
  INFO(outcome.out);
  CHECK(outcome.exit_code == 2);  // a value is not finite
  CHECK(contains(outcome.out, "evil\\x1b[2J = \"\\xc2\\x9b31mred\\x7fxxx"));
  CHECK(contains(outcome.out, "te\\x1b]0;title\\x07nsor  "));
  CHECK(contains(outcome.out, "problem: te\\x1b]0;title\\x07nsor: 1 values"));
  CHECK(contains(outcome.out, "xxx…\n"));  // cut between characters
  for (const char c : outcome.out) CHECK((c == '\n' || (c & 0xE0) != 0));
  const Outcome refused = zeroth_command(directory, "inspect 'no\x1B[2J'");
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "no\\x1b[2J"));
}

TEST_CASE("export: what it cannot do it says, and leaves nothing", "[end_to_end]") {
  const TemporaryDirectory directory;
  init(directory, "tiny-mla-moe");
  const Outcome quantized = zeroth_command(directory, "export model --dtype q4_k_m --output out");
  CHECK(quantized.exit_code == 2);
  CHECK(contains(quantized.err, "dtype: expected f32, f16 or bf16, since the format hf has no"));
  const Outcome taken = zeroth_command(directory, "export model --output model");
  CHECK(taken.exit_code == 2);
  CHECK(contains(taken.err, "--output: expected a path where nothing stands yet"));
  fs::create_symlink("nowhere", directory / "dangling");
  for (const char* output : {"dangling", "dangling/", "model/"}) {
    const Outcome stands =
        zeroth_command(directory, std::string("export model --output ") + output);
    CHECK(stands.exit_code == 2);
    CHECK(contains(stands.err, "--output: expected a path where nothing stands yet"));
  }
  CHECK(fs::is_symlink(directory / "dangling"));
  const Outcome slash = zeroth_command(directory, "export model --format gguf --output new/");
  CHECK(slash.exit_code == 2);
  CHECK(contains(slash.err, "--output: expected the name of a file"));
  CHECK_FALSE(fs::exists(directory / "new"));
  const Outcome dry = run(directory, "export model --output out --dry-run");
  CHECK(contains(dry.out, " parameters as hf bf16 to out\n"));
  CHECK_FALSE(fs::exists(directory / "out"));
  std::ofstream(directory / "model" / "config.json", std::ios::app) << "\n";
  const Outcome changed = zeroth_command(directory, "export model --output out");
  CHECK(changed.exit_code == 2);
  CHECK(contains(changed.err, "SHA256SUMS"));
}

TEST_CASE("export: a tokenizer that cuts in a way of its own needs a name in llama.cpp",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "a.txt") << "the theme of the thesis\n";
  run(directory, "tokenizer train a.txt --pattern '[a-z]+| ' --output_dir tokenizer");
  run(directory, "init --architecture tiny-mla-moe --tokenizer tokenizer --output_dir model");
  const std::string command = "export model --format gguf --type q4_k_m --output a.gguf";
  const Outcome refused = zeroth_command(directory, command);
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "model/tokenizer.json: pre_tokenizer: expected the expressions of "));
  CHECK_FALSE(fs::exists(directory / "a.gguf"));
  const Outcome named = run(directory, command + " --tokenizer_pre gpt-2");
  CHECK(contains(named.err, "warning: the text is cut as llama.cpp's gpt-2 does"));
  CHECK(contains(named.err, "are not whole blocks of 256"));
  const std::string text = run(directory, "inspect a.gguf").out;
  CHECK(contains(text, "general.architecture = \"deepseek2\""));
  CHECK(contains(text, "general.file_type = 15"));
  CHECK(contains(text, "no problems found"));
}

TEST_CASE("export: a directory's name may end with a slash, and a failure leaves no parents",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  init(directory, "tiny-dense");
  run(directory, "export model --output out/hf/");
  CHECK(contains(run(directory, "inspect out/hf").out, "checksums: verified"));
  for (const std::string format : {"hf", "gguf"}) {
    INFO(format);
    Outcome full;
    {
      const FileSizeLimit limit(32 << 10);  // less than any model, more than what is printed
      full = zeroth_command(directory, "export model --format " + format + " --output a/b/c");
    }
    CHECK(full.exit_code == 1);
    CHECK(contains(full.err, "File too large"));
    CHECK_FALSE(fs::exists(directory / "a"));
  }
}

}  // namespace zeroth
