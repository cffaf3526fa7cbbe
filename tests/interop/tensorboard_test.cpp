// The event file of a run that was stopped and resumed, read by TensorBoard.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;
using testing::zeroth_command;

std::string python() {
  const char* venv = std::getenv("ZEROTH_READERS");
  return (venv == nullptr ? ZEROTH_SOURCE_DIR "/.venv-readers" : std::string(venv)) + "/bin/python";
}

// Exit code of the reader; its output is in the test's.
int read_by_tensorboard(const fs::path& run) {
  const std::string command =
      "'" + python() + "' '" ZEROTH_SOURCE_DIR "/tests/interop/tensorboard_reads_events.py' '" +
      run.string() + "'";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool has_tensorboard() {
  return std::system(("'" + python() + "' -c 'import tensorboard' 2>/dev/null").c_str()) == 0;
}

}  // namespace

TEST_CASE("interop: TensorBoard reads every scalar of a resumed run once", "[interop]") {
  if (!has_tensorboard()) {
    WARN("skipped: no tensorboard in .venv-readers (tools/setup --readers)");
    return;
  }
  const TemporaryDirectory directory;
  const testing::Flags grpo("grpo", {{"model_name_or_path", "init"},
                                     {"dataset_name", "sums"},
                                     {"reward_funcs", "format_parts,accuracy"},
                                     {"num_generations", "3"},
                                     {"num_prompts_per_step", "2"},
                                     {"max_completion_length", "12"},
                                     {"max_steps", "5"},
                                     {"save_steps", "2"},
                                     {"eval_dataset_name", "sums"},
                                     {"num_eval_problems", "4"},
                                     {"eval_steps", "2"},
                                     {"report_to", "tensorboard"},
                                     {"output_dir", "run"}});
  const auto run = [&](const std::string& arguments) {
    const testing::Outcome outcome = zeroth_command(directory, arguments);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
  };
  run("init --architecture tiny-mla-moe --tokenizer '0123456789+=;?' --output_dir init");
  run(grpo.with({}));
  CHECK(read_by_tensorboard(directory / "run") == 0);
  // Again from step 4, with an event file that was torn meanwhile.
  fs::remove_all(directory / "run/checkpoint-5");
  const fs::path events = directory / "run/events.out.tfevents.0.zeroth";
  fs::resize_file(events, fs::file_size(events) - 5);
  CHECK(read_by_tensorboard(directory / "run") != 0);  // the control
  run(grpo.with({{"resume_from_checkpoint", "latest"}}));
  CHECK(read_by_tensorboard(directory / "run") == 0);
}

}  // namespace zeroth
