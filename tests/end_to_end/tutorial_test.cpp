// Every command of docs/tutorial.md, one after another, in one shell.

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "system/file.h"
#include "system/json.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::TemporaryDirectory;

// The blocks that begin with ```sh, in order.
std::string commands_of(const std::string& page) {
  std::string commands;
  const std::string begin = "\n```sh\n";
  for (std::size_t at = page.find(begin); at != std::string::npos; at = page.find(begin, at)) {
    at += begin.size();
    const std::size_t end = page.find("\n```", at);
    REQUIRE(end != std::string::npos);
    commands += page.substr(at, end - at) + "\n";
    at = end;
  }
  return commands;
}

void write_program(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  REQUIRE(chmod(file.c_str(), 0755) == 0);
}

// zeroth with sizes cut to a handful: these values stand in for those on the page.
const char* const kSmallZeroth = R"(#!/bin/bash
declare -A small
case "$1" in
  quickstart) small=([--smoke]=true) ;;
  grpo) small=([--max_steps]=2 [--warmup_steps]=1 [--num_generations]=4 [--num_prompts_per_step]=2) ;;
  eval) small=([--num_problems]=5 [--num_generations]=4) ;;
  distill) small=([--num_problems]=20 [--max_steps]=4 [--warmup_steps]=1 [--reward_threshold]=-1
                  [--num_eval_problems]=5 [--num_eval_generations]=2) ;;
esac
arguments=()
while [ $# -gt 0 ]; do
  if [ -n "${small[$1]:-}" ]; then shift 2; else arguments+=("$1"); shift; fi
done
for key in "${!small[@]}"; do arguments+=("$key=${small[$key]}"); done
exec ")" ZEROTH_BINARY R"(" "${arguments[@]}"
)";

// A checkout as the page expects it after the build: build/cpu/zeroth, tools/quickstart,
// tools/setup and .venv-readers.
class Checkout {
 public:
  explicit Checkout(bool small) {
    write_program(directory_ / "build/cpu/zeroth",
                  small ? kSmallZeroth : "#!/bin/sh\nexec \"" ZEROTH_BINARY "\" \"$@\"\n");
    write_program(directory_ / "tools/quickstart",
                  "#!/bin/sh\nexec build/cpu/zeroth quickstart \"$@\"\n");
    write_program(directory_ / "tools/setup", "#!/bin/sh\n[ \"$*\" = --readers ]\n");
    const char* readers = std::getenv("ZEROTH_READERS");
    const fs::path venv = readers != nullptr ? readers : ZEROTH_SOURCE_DIR "/.venv-readers";
    has_llama_cpp_ = fs::exists(venv / "bin/python");
    if (has_llama_cpp_) {
      fs::create_directory_symlink(venv, directory_ / ".venv-readers");
    } else {
      WARN("llama.cpp is skipped: no " << venv.string() << " (tools/setup --readers)");
      write_program(directory_ / ".venv-readers/bin/python", "#!/bin/sh\necho skipped\n");
    }
  }

  // The exit code of the commands; the first that fails is the last.
  int run(const std::string& commands) const {
    std::ofstream(directory_ / "commands.sh") << "set -euo pipefail\n" << commands;
    const std::string line = "cd '" + directory_.path().string() +
                             "' && bash -v commands.sh >out.txt 2>err.txt </dev/null";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string out() const { return read_file(directory_ / "out.txt"); }
  std::string err() const { return read_file(directory_ / "err.txt"); }
  fs::path operator/(const std::string& name) const { return directory_ / name; }
  bool has_llama_cpp() const { return has_llama_cpp_; }

 private:
  TemporaryDirectory directory_;
  bool has_llama_cpp_ = false;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

void run_tutorial(bool small) {
  const std::string page = read_file(ZEROTH_SOURCE_DIR "/docs/tutorial.md");
  const Checkout checkout(small);
  const int code = checkout.run(commands_of(page));
  INFO(checkout.out());
  INFO(checkout.err());
  REQUIRE(code == 0);
  for (const char* file : {"runs/quickstart/summary.json", "runs/quickstart/report.html",
                           "runs/own/report.html", "compare.html", "mine/mine.so",
                           "runs/small/manifest.json", "student/config.json", "student.gguf"}) {
    INFO(file);
    CHECK(fs::exists(checkout / file));
  }
  CHECK(contains(checkout.out(), "runs/small"));
  if (small) return;
  // The page's claims.
  const JsonReader summary =
      JsonReader::parse(read_file(checkout / "runs/quickstart/summary.json"), "summary.json");
  const auto pass = [&](const char* policy) {
    return summary.child(policy).get_double("pass_at_1");
  };
  CHECK(pass("base") < 0.2);
  CHECK(pass("grpo") > 0.75);
  CHECK(pass("student") > pass("grpo") - 0.03);
  const std::vector<std::string> lines = lines_of(checkout.out());
  REQUIRE(lines.size() > 2);
  CHECK(contains(lines.back(), "<answer>933</answer>"));
  if (checkout.has_llama_cpp()) CHECK(contains(lines[lines.size() - 2], "<answer>933</answer>"));
}

}  // namespace

TEST_CASE("tutorial: every command runs, with its sizes cut to a handful", "[end_to_end]") {
  run_tutorial(true);
}

// tools/test --long: minutes.
TEST_CASE("tutorial: as it stands, every command does what the page says", "[.tutorial]") {
  run_tutorial(false);
}

}  // namespace zeroth
