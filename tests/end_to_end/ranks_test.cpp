// Processes of one run, started as torchrun starts them: by RANK, WORLD_SIZE, MASTER_ADDR and
// MASTER_PORT.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "system/file.h"
#include "system/tcp.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::TemporaryDirectory;

const testing::Flags kGrpo("grpo", {{"model_name_or_path", "init"},
                                    {"dataset_name", "sums"},
                                    {"reward_funcs", "format_parts"},
                                    {"num_generations", "3"},
                                    {"num_prompts_per_step", "3"},
                                    {"max_completion_length", "12"},
                                    {"dtype", "float32"},
                                    {"seed", "3"},
                                    {"max_steps", "3"},
                                    {"num_threads", "1"},
                                    {"ranks_timeout", "60"}});

void make_base(const TemporaryDirectory& directory) {
  REQUIRE(testing::zeroth_command(directory,
                                  "init --preset tiny-mla-moe --tokenizer '0123456789+=;?' "
                                  "--output_dir init --seed 3")
              .exit_code == 0);
}

// Runs a shell script in the directory. In it, `rank R N zeroth-arguments` starts rank R of N in
// the background, with its output in R.err, and its process in $PR.
int shell(const TemporaryDirectory& directory, const std::string& script) {
  const std::string port = std::to_string(TcpListener(0).port());
  std::ofstream(directory / "script") << "export MASTER_ADDR=127.0.0.1 MASTER_PORT=" << port
                                      << "\n"
                                         "rank() {\n"
                                         "  r=$1 n=$2; shift 2\n"
                                         "  RANK=$r WORLD_SIZE=$n '" ZEROTH_BINARY
                                         "' \"$@\" >$r.out 2>$r.err &\n"
                                         "  eval \"P$r=$!\"\n"
                                         "}\n"
                                      << script << "\n";
  const std::string command = "cd '" + directory.path().string() + "' && sh script";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string err(const TemporaryDirectory& directory, int rank) {
  return read_file(directory / (std::to_string(rank) + ".err"));
}

}  // namespace

TEST_CASE("end to end: two processes train as one, and one with exact sums ends in their bytes",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  const std::string two =
      kGrpo.with({{"output_dir", "two"}, {"exact_ranks", ""}, {"log_completions", ""}});
  const int code =
      shell(directory, "rank 0 2 " + two + "; rank 1 2 " + two + "\nwait $P0 && wait $P1");
  INFO(err(directory, 0) << err(directory, 1));
  REQUIRE(code == 0);
  CHECK(contains(err(directory, 0), "1 thread, 2 ranks"));
  CHECK(contains(err(directory, 0), "saved two/checkpoint-3"));
  CHECK(err(directory, 1).empty());
  REQUIRE(testing::zeroth_command(
              directory,
              kGrpo.with({{"output_dir", "one"}, {"exact_ranks", ""}, {"log_completions", ""}}))
              .exit_code == 0);
  for (const char* file : {"checkpoint-3/model.safetensors", "checkpoint-3/optimizer.safetensors",
                           "completions/step-000003.jsonl"}) {
    CHECK(read_file(directory / "one" / file) == read_file(directory / "two" / file));
  }
}

TEST_CASE("end to end: a killed process is named by the other within seconds, and the run goes on",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  const std::string endless = kGrpo.with({{"output_dir", "run"},
                                          {"exact_ranks", ""},
                                          {"save_steps", "2"},
                                          {"save_total_limit", "3"},
                                          {"max_steps", "1000000"}});
  const int code = shell(directory, "rank 0 2 " + endless + "; rank 1 2 " + endless +
                                        "\n"
                                        "until [ -e run/checkpoint-2 ]; do sleep 0.1; done\n"
                                        "kill -9 $P1; date +%s >before; wait $P0; code=$?\n"
                                        "date +%s >after; echo $P1 >pid; exit $code");
  INFO(err(directory, 0));
  CHECK(code == 1);
  const std::string pid = read_file(directory / "pid");
  CHECK(contains(err(directory, 0), "zeroth: rank 1 ("));
  CHECK(contains(err(directory, 0),
                 "process " + pid.substr(0, pid.size() - 1) + ") is gone: connection closed"));
  CHECK(std::stol(read_file(directory / "after")) - std::stol(read_file(directory / "before")) <
        10);
  const testing::Outcome resumed = testing::zeroth_command(
      directory, endless + " --resume_from_checkpoint latest --max_seconds 0.000001");
  INFO(resumed.err);
  CHECK(resumed.exit_code == 130);
  CHECK(contains(resumed.err, "resumed run/checkpoint-"));
}

TEST_CASE("end to end: SIGTERM to one process stops both at a resumable point", "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  const std::string endless = kGrpo.with({{"output_dir", "run"}, {"max_steps", "1000000"}});
  const int code = shell(directory, "rank 0 2 " + endless + "; rank 1 2 " + endless +
                                        "\n"
                                        "until [ -s run/metrics.jsonl ]; do sleep 0.1; done\n"
                                        "kill -TERM $P1; wait $P0; a=$?; wait $P1; b=$?\n"
                                        "[ $a = 130 ] && [ $b = 130 ]");
  INFO(err(directory, 0) << err(directory, 1));
  CHECK(code == 0);
  CHECK(contains(err(directory, 0), "stopped, as another rank was asked to, after step"));
}

TEST_CASE("end to end: a rank that does not come, and variables that are wrong", "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  const std::string impatient = kGrpo.with({{"output_dir", "run"}, {"ranks_timeout", "0.5"}});
  CHECK(shell(directory, "rank 0 3 " + impatient + "; wait $P0") == 1);
  CHECK(contains(err(directory, 0), "of 3 ranks these did not come within 0.5 s: 1, 2"));
  CHECK(shell(directory, "rank 1 2 " + impatient + "; wait $P1") == 1);
  CHECK(contains(err(directory, 1), "rank 0 is missing"));
  CHECK(shell(directory, "rank 2 2 " + impatient + "; wait $P2") == 2);
  CHECK(contains(err(directory, 2), "RANK: expected less than WORLD_SIZE (2), got 2"));
  CHECK(shell(directory, "unset MASTER_PORT; rank 0 2 " + impatient + "; wait $P0") == 2);
  CHECK(contains(err(directory, 0), "MASTER_PORT"));
  CHECK_FALSE(std::filesystem::exists(directory / "run" / "config.toml"));
}

}  // namespace zeroth
