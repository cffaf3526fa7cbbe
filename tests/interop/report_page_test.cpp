// The report in a browser: its script runs, says nothing to the console, and runs nothing else.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::TemporaryDirectory;

// The document after its scripts ran, and what the browser logged.
testing::Outcome opened(const TemporaryDirectory& directory, const fs::path& page) {
  const std::string out = (directory / "dom").string();
  const std::string err = (directory / "log").string();
  const std::string command =
      "chromium --headless=new --no-sandbox --disable-gpu --user-data-dir='" +
      (directory / "profile").string() +
      "' --virtual-time-budget=5000 --enable-logging=stderr --dump-dom 'file://" + page.string() +
      "' >'" + out + "' 2>'" + err + "'";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

constexpr const char* kHostile =
    R"(</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>)";

void write_run(const fs::path& run) {
  fs::create_directories(run / "completions");
  std::ofstream metrics(run / "metrics.jsonl");
  for (int step = 1; step <= 60; ++step) {
    metrics << R"({"step":)" << step << R"(,"reward":)" << 0.01 * step
            << R"(,"reward_std":0.1,"rewards/accuracy/mean":)" << 0.01 * step << R"(,"loss":)"
            << 1.0 / step
            << R"(,"sampling/sampling_logp_difference/max":0.0,"routing_disagreements":0.0,)"
            << R"("clip_ratio/low_mean":0.0,"time/rollout":1.0,"time/learn":)" << 2.0 + step % 3
            << R"(,"num_tokens":)" << 100 * step << R"(,"step_time":)" << 3.0 + step % 3 << "}\n";
  }
  std::ofstream(run / "completions/step-000001.jsonl")
      << R"({"prompt":")" << kHostile << R"(","completion":"<think>)" << kHostile
      << R"(</think>","reference":"1","rewards":{"accuracy":1.0},"reward":1.0,"advantage":0.5,)"
      << R"("num_tokens":7,"finish_reason":"stop"})"
      << "\n";
}

}  // namespace

TEST_CASE("interop: a browser draws the report, and nothing that a model wrote runs in it",
          "[interop]") {
  if (std::system("command -v chromium >/dev/null") != 0) {
    WARN("skipped: no chromium");
    return;
  }
  const TemporaryDirectory directory;
  write_run(directory / "one");
  write_run(directory / "two");
  REQUIRE(testing::zeroth_command(directory, "report one").exit_code == 0);
  const testing::Outcome one = opened(directory, directory / "one/report.html");
  INFO(one.err);
  CHECK_FALSE(contains(one.err, "CONSOLE"));
  CHECK(contains(one.out, "<title>one · Zeroth</title>"));
  CHECK(contains(one.out, "bit for bit"));
  CHECK(contains(one.out, "Clip ratio: 0"));
  // rules, reward, loss, time
  CHECK(count(one.out, "<canvas role=\"img\"") == 4);
  CHECK(count(one.out,
              "<canvas role=\"img\" aria-label=\"Reward. reward: 0.01 at step 1, 0.6 at "
              "step 60, between 0.01 and 0.6.\"") == 1);
  CHECK(contains(one.out, "<span class=\"tag\">&lt;think&gt;</span>"));
  CHECK_FALSE(contains(one.out, "<img"));

  REQUIRE(testing::zeroth_command(directory, "report one two").exit_code == 0);
  const testing::Outcome both = opened(directory, directory / "report.html");
  INFO(both.err);
  CHECK_FALSE(contains(both.err, "CONSOLE"));
  CHECK(contains(both.out, "<title>Comparison: one, two · Zeroth</title>"));
  CHECK(contains(both.out, "one: 0.01 at step 1"));
  CHECK(contains(both.out, "two: 0.01 at step 1"));

  // The control: a script that is none of the page's own is refused, and the console says so.
  std::string page = read_file(directory / "one/report.html");
  page.insert(page.find("<footer>"), "<script>document.title = 'taken'</script>");
  std::ofstream(directory / "taken.html", std::ios::binary) << page;
  const testing::Outcome refused = opened(directory, directory / "taken.html");
  CHECK(contains(refused.err, "CONSOLE"));
  CHECK(contains(refused.out, "<title>one · Zeroth</title>"));
}

}  // namespace zeroth
