#include "tools/progress.h"

#include <catch2/catch.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace zeroth {
namespace {

// A run whose steps take `seconds_per_step`; what it writes, line by line.
struct Run {
  double now = 100.0;
  std::ostringstream out;

  Progress start(ProgressConfig config) {
    return Progress(std::move(config), out, [this] { return now; });
  }
  void walk(Progress& progress, std::int64_t first, std::int64_t last, double seconds_per_step) {
    for (std::int64_t done = first; done <= last; ++done) {
      now += seconds_per_step;
      progress.update(done);
    }
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> result;
    std::istringstream in(out.str());
    for (std::string line; std::getline(in, line);) result.push_back(line);
    return result;
  }
};

TEST_CASE("progress: a line names count, share, rate and time left", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "grpo", .total = 100});
  run.now += 20;
  progress.update(10, "reward 0.53");
  REQUIRE(run.lines().size() == 1);
  CHECK(run.lines()[0] == "grpo 10/100 steps  10%  0.5 steps/s  3:00 left  reward 0.53");
}

TEST_CASE("progress: off a terminal, a fast run writes one line for every 5 %", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "sft", .total = 1000});
  run.walk(progress, 1, 1000, 0.05);
  progress.finish();
  CHECK(run.lines().size() == 20);
  CHECK(run.lines().back() == "sft 1000/1000 steps 100%  20 steps/s  in 50 s");
  CHECK(run.out.str().find('\r') == std::string::npos);
}

TEST_CASE("progress: off a terminal, a slow run writes a line every ten seconds", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "sft", .total = 10000});
  run.walk(progress, 1, 100, 1.0);
  CHECK(run.lines().size() == 10);
}

TEST_CASE("progress: off a terminal, never more than a line a second and the last one", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "eval", .total = 100});
  run.walk(progress, 1, 100, 0.025);
  progress.finish();
  CHECK(run.lines().size() == 3);
  CHECK(run.lines().back().find("100/100") != std::string::npos);
}

TEST_CASE("progress: a terminal gets one line, drawn over and cut to its width", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "grpo", .total = 4, .terminal = true, .width = 30});
  run.walk(progress, 1, 4, 1.0);
  progress.finish();
  CHECK(run.lines().size() == 1);
  std::size_t drawn = 0;
  std::istringstream in(run.out.str());
  for (std::string frame; std::getline(in, frame, '\r');) {
    if (frame.empty()) continue;
    ++drawn;
    CHECK(frame.find("\x1b[K") == 29);
  }
  CHECK(drawn == 4);
}

TEST_CASE("progress: a terminal is drawn at most ten times a second", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "x", .total = 1000000, .terminal = true});
  run.walk(progress, 1, 1000, 0.001);
  std::size_t drawn = 0;
  for (const char c : run.out.str()) drawn += c == '\r';
  CHECK(drawn >= 8);
  CHECK(drawn <= 11);
}

TEST_CASE("progress: a resumed run's rate counts only its own steps", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "grpo", .total = 100, .initial = 80});
  run.now += 10;
  progress.update(90);
  CHECK(run.lines().at(0) == "grpo 90/100 steps  90%  1 steps/s  10 s left");
}

TEST_CASE("progress: finish says where an interrupted run stopped, once", "[tools]") {
  Run run;
  Progress progress = run.start({.label = "grpo", .total = 100});
  run.walk(progress, 1, 3, 0.1);
  CHECK(run.lines().empty());
  progress.finish();
  progress.finish();
  REQUIRE(run.lines().size() == 1);
  CHECK(run.lines()[0].find("grpo 3/100") == 0);
}

TEST_CASE("progress: a total of nothing is misuse", "[tools]") {
  Run run;
  CHECK_THROWS_AS(run.start({.label = "x", .total = 0}), std::invalid_argument);
}

TEST_CASE("format_duration: seconds, minutes, hours", "[tools]") {
  CHECK(format_duration(-1) == "0 s");
  CHECK(format_duration(9.4) == "9 s");
  CHECK(format_duration(59.6) == "1:00");
  CHECK(format_duration(65) == "1:05");
  CHECK(format_duration(7384) == "2:03:04");
}

}  // namespace
}  // namespace zeroth
