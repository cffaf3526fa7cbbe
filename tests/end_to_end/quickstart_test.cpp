// zeroth quickstart, a few steps of it: what is finished stays, and what it took.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "system/file.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

}  // namespace

TEST_CASE("quickstart: the same command again does nothing and knows what everything took",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  const std::string command = "quickstart --smoke --control --output_dir run";
  const Outcome first = zeroth_command(directory, command);
  INFO(first.err);
  REQUIRE(first.exit_code == 0);
  const std::string summary = read_file(directory / "run/summary.json");
  const boost::json::object seconds = boost::json::parse(summary).at("seconds").as_object();
  for (const char* phase : {"cold_start", "evaluate_base", "grpo", "evaluate_grpo", "control",
                            "evaluate_control", "student"}) {
    INFO(phase);
    CHECK(seconds.at(phase).to_number<double>() > 0.0);
  }
  // The student's curve is on the page, beside that of the reinforcement.
  CHECK(contains(read_file(directory / "run/report.html"), "run, student"));

  const Outcome again = zeroth_command(directory, command);
  INFO(again.err);
  REQUIRE(again.exit_code == 0);
  CHECK(read_file(directory / "run/summary.json") == summary);
  CHECK(again.out == first.out);
  for (const char* phase :
       {"cold_start", "evaluate_base", "grpo", "evaluate_grpo", "control", "evaluate_control"})
    CHECK(contains(again.err, std::string(phase) + ": is there"));

  // Control: what is gone is made again, and nothing else.
  std::filesystem::remove(directory / "run/evaluation/base.json");
  const Outcome repaired = zeroth_command(directory, command);
  INFO(repaired.err);
  REQUIRE(repaired.exit_code == 0);
  CHECK_FALSE(contains(repaired.err, "evaluate_base: is there"));
  CHECK(contains(repaired.err, "evaluate_grpo: is there"));
}

}  // namespace zeroth
