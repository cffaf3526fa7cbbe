// What the commands say to wrong input: exit code 2, the source, what was expected and what stood
// there.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

constexpr const char* kInit =
    "init --preset tiny-mla-moe --tokenizer '0123456789+=;?' --output_dir init";
const testing::Flags kGrpo("grpo", {{"reward_funcs", "format"},
                                    {"num_generations", "2"},
                                    {"num_prompts_per_step", "1"},
                                    {"max_completion_length", "4"},
                                    {"max_steps", "1"},
                                    {"model_name_or_path", "init"},
                                    {"dataset_name", "sums"},
                                    {"output_dir", "run"}});

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

void refuses(const TemporaryDirectory& directory, const std::string& arguments,
             const std::vector<std::string>& parts) {
  const Outcome outcome = zeroth_command(directory, arguments);
  INFO(arguments);
  INFO(outcome.err);
  CHECK(outcome.exit_code == 2);
  for (const std::string& part : parts) {
    INFO(part);
    CHECK(contains(outcome.err, part));
  }
}

}  // namespace

TEST_CASE("bad input: data sets", "[end_to_end]") {
  const TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, kInit).exit_code == 0);
  refuses(directory, kGrpo.with({{"dataset_name", "none.jsonl"}}), {"none.jsonl"});
  refuses(directory, kGrpo.with({{"dataset_name", "sums"}, {"dataset_split", "tset"}}),
          {"dataset_split", "train, calibration", "tset"});
  write(directory / "broken.jsonl",
        "{\"question\": \"1+1=\", \"answer\": \"2\"}\n{\"question\": \n");
  refuses(directory, kGrpo.with({{"dataset_name", "broken.jsonl"}}), {"broken.jsonl:2"});
  write(directory / "column.jsonl", "{\"question\": \"1+1=\"}\n");
  refuses(directory, kGrpo.with({{"dataset_name", "column.jsonl"}}), {"column.jsonl:1", "answer"});
  write(directory / "unread.jsonl",
        "{\"question\": \"1+1=\", \"answer\": \"2\"}\n"
        "{\"question\": \"1/3=\", \"answer\": \"\\\\frac{1}{\"}\n"
        "{\"question\": \"1+0=\", \"answer\": \"((1\"}\n");
  const std::vector<std::string> unread = {"unread.jsonl:2", "accuracy", "\\\\frac{1}{",
                                           "2 of 3 have such a one"};
  const testing::Flags with_accuracy = kGrpo;
  refuses(
      directory,
      with_accuracy.with({{"dataset_name", "unread.jsonl"}, {"reward_funcs", "format,accuracy"}}),
      unread);
  refuses(directory,
          with_accuracy.with(
              {{"eval_dataset_name", "unread.jsonl"}, {"reward_funcs", "accuracy_in_format"}}),
          {"unread.jsonl:2", "accuracy_in_format"});
  write(directory / "letters.jsonl", "{\"question\": \"1 and 1\", \"answer\": \"2\"}\n");
  refuses(directory, kGrpo.with({{"dataset_name", "letters.jsonl"}}), {"byte"});
  refuses(directory, kGrpo.with({{"dataset_name", "broken.jsonl"}, {"dataset_split", "test"}}),
          {"dataset_split", "is a file"});
  CHECK_FALSE(std::filesystem::exists(directory / "run/metrics.jsonl"));
}

TEST_CASE("bad input: checkpoints", "[end_to_end]") {
  const TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, kInit).exit_code == 0);
  refuses(directory, kGrpo.with({{"model_name_or_path", "nowhere"}}), {"nowhere/config.json"});
  // Another shape in the configuration than in the weights.
  std::filesystem::copy(directory / "init", directory / "shape",
                        std::filesystem::copy_options::recursive);
  std::string config = read_file(directory / "shape/config.json");
  const std::size_t at = config.find("\"kv_lora_rank\": 64");
  REQUIRE(at != std::string::npos);
  config.replace(at, 18, "\"kv_lora_rank\": 48");
  write(directory / "shape/config.json", config);
  refuses(directory, kGrpo.with({{"model_name_or_path", "shape"}}),
          {"model.safetensors", "kv_a_", "[64, 128]", "[80, 128]"});
  // A file cut off in the middle.
  std::filesystem::copy(directory / "init", directory / "cut",
                        std::filesystem::copy_options::recursive);
  std::filesystem::resize_file(directory / "cut/model.safetensors", 100000);
  refuses(directory, kGrpo.with({{"model_name_or_path", "cut"}}), {"model.safetensors"});
}

TEST_CASE("bad input: settings that do not fit the model or the machine", "[end_to_end]") {
  const TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, kInit).exit_code == 0);
  refuses(directory, kGrpo.with({{"max_completion_length", "600"}}),
          {"max_position_embeddings", "512"});
  refuses(directory, kGrpo.with({{"num_generation", "4"}}), {"num_generations"});
  refuses(directory, kGrpo.with({{"reward_funcs", "acuracy"}}), {"accuracy"});
  refuses(directory, kGrpo.with({{"isa", "avx1024"}}), {"avx1024"});
  refuses(directory, kGrpo.with({{"prompt_template", "missing.txt"}}), {"missing.txt"});
}

TEST_CASE("bad input: resuming what is another run", "[end_to_end]") {
  const TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, kInit).exit_code == 0);
  REQUIRE(zeroth_command(directory, kGrpo.with({})).exit_code == 0);
  refuses(directory, kGrpo.with({}), {"output_dir", "resume_from_checkpoint"});
  refuses(directory, kGrpo.with({{"seed", "9"}, {"resume_from_checkpoint", "latest"}}),
          {"trainer_state.json", "seed", "9"});
  refuses(directory, kGrpo.with({{"temperature", "0.5"}, {"resume_from_checkpoint", "latest"}}),
          {"trainer_state.json", "temperature", "0.5", "1.0"});
}

TEST_CASE("bad input: a full disk is an error with the path, and the run before it is whole",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, kInit).exit_code == 0);
  // A limit on the size of files stands in for the disk: 256 KiB are too few for the weights.
  const std::string script = (directory / "limited.sh").string();
  write(script, "#!/bin/bash\ntrap '' XFSZ\nulimit -f 256\nexec \"$@\"\n");
  const Outcome outcome = [&] {
    const std::string command = "cd '" + directory.path().string() +
                                "' && bash limited.sh '" ZEROTH_BINARY "' " + kGrpo.with({}) +
                                " >out 2>err";
    const int status = std::system(command.c_str());
    return Outcome{WEXITSTATUS(status), read_file(directory / "out"), read_file(directory / "err")};
  }();
  CHECK(outcome.exit_code == 1);
  CHECK(contains(outcome.err, "checkpoint-1"));
  CHECK_FALSE(std::filesystem::exists(directory / "run/checkpoint-1"));
}

}  // namespace zeroth
