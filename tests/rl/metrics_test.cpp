#include "rl/metrics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "kernels/random.h"
#include "system/error.h"
#include "tests/rl/temporary_directory.h"
#include "tests/support/file_size_limit.h"

namespace zeroth {
namespace {

const std::string kFourSteps =
    "{\"step\":0,\"eval_reward\":0.125}\n"
    "{\"step\":1,\"reward\":0.25}\n"
    "{\"step\":2,\"reward\":0.5}\n"
    "{\"step\":3,\"reward\":1.0}\n";

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

// What is left of `text` when a run goes on after `last_step`.
std::string resumed(const std::string& text, std::int64_t last_step,
                    MetricsLog::Cut* cut = nullptr) {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  write(file, text);
  const MetricsLog log(file, last_step);
  if (cut != nullptr) *cut = log.cut();
  return read_file(file);
}

}  // namespace

TEST_CASE("MetricsLog: a line keeps the order of its metrics", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  MetricsLog log(file, -1);
  log.append(1, std::vector<Metric>{{"reward", 0.5}, {"clip_ratio/low_mean", 0.0}, {"kl", 1e-6}});
  log.append(2, std::vector<Metric>{{"num_tokens", 4096.0}});
  CHECK(read_file(file) ==
        "{\"step\":1,\"reward\":0.5,\"clip_ratio/low_mean\":0.0,\"kl\":1e-06}\n"
        "{\"step\":2,\"num_tokens\":4096.0}\n");
}

TEST_CASE("MetricsLog: what is not finite is null and counted", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  MetricsLog log(file, -1);
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  log.append(1, std::vector<Metric>{{"a", nan}, {"b", infinity}, {"c", 1.5}, {"d", -infinity}});
  CHECK(read_file(file) == "{\"step\":1,\"a\":null,\"b\":null,\"c\":1.5,\"d\":null}\n");
  CHECK(log.num_not_finite() == 3);
}

TEST_CASE("MetricsLog: a name stands once in a line", "[rl]") {
  const TemporaryDirectory directory;
  MetricsLog log(directory.path() / "metrics.jsonl", -1);
  CHECK_THROWS_AS(log.append(1, std::vector<Metric>{{"a", 1.0}, {"a", 2.0}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(log.append(1, std::vector<Metric>{{"step", 1.0}}), std::invalid_argument);
  CHECK_THROWS_AS(log.append(1, std::vector<Metric>{{"", 1.0}}), std::invalid_argument);
  CHECK(read_file(directory.path() / "metrics.jsonl").empty());
}

TEST_CASE("MetricsLog: a resumed run cuts the steps after its checkpoint", "[rl]") {
  MetricsLog::Cut cut;
  CHECK(resumed(kFourSteps, 3, &cut) == kFourSteps);
  CHECK(cut.lines_after_step == 0);
  CHECK_FALSE(cut.torn_line);
  CHECK(resumed(kFourSteps, 1, &cut) == kFourSteps.substr(0, kFourSteps.find("{\"step\":2")));
  CHECK(cut.lines_after_step == 2);
  CHECK(resumed(kFourSteps, -1, &cut).empty());
  CHECK(cut.lines_after_step == 4);
}

TEST_CASE("MetricsLog: a torn last line is cut wherever it was torn", "[rl]") {
  const std::size_t last_line = kFourSteps.find("{\"step\":3");
  for (std::size_t size = last_line + 1; size < kFourSteps.size(); ++size) {
    MetricsLog::Cut cut;
    CHECK(resumed(kFourSteps.substr(0, size), 3, &cut) == kFourSteps.substr(0, last_line));
    CHECK(cut.torn_line);
  }
  MetricsLog::Cut cut;
  const std::string zeros = kFourSteps.substr(0, last_line) + std::string(5, '\0') + "\n";
  CHECK(resumed(zeros, 3, &cut) == kFourSteps.substr(0, last_line));
  CHECK(cut.torn_line);
}

TEST_CASE("MetricsLog: after the cut the log goes on with the next step", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  write(file, kFourSteps + "{\"step\":4,\"rew");
  MetricsLog log(file, 2);
  log.append(3, std::vector<Metric>{{"reward", 0.75}});
  log.sync();
  CHECK(read_file(file) ==
        kFourSteps.substr(0, kFourSteps.find("{\"step\":3")) + "{\"step\":3,\"reward\":0.75}\n");
}

TEST_CASE("MetricsLog: a broken line in the middle is named and nothing is cut", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  const std::string text = "{\"step\":1}\n{\"step\":}\n{\"step\":3}\n";
  write(file, text);
  CHECK_THROWS_WITH(MetricsLog(file, 3), Catch::Contains("metrics.jsonl:2"));
  CHECK(read_file(file) == text);
}

TEST_CASE("MetricsLog: mutated files are resumed or refused", "[rl]") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::string text = kFourSteps;
    for (std::uint32_t change = 0; change < 3; ++change) {
      const Philox::Counter words = Philox::block({seed, change, 0, 0}, {1, 2});
      const std::size_t at = words[0] % text.size();
      if (words[1] % 3 == 0) text[at] = static_cast<char>(words[2]);
      if (words[1] % 3 == 1) text.erase(at, 1 + words[2] % 7);
      if (words[1] % 3 == 2) text.insert(at, 1 + words[2] % 3, static_cast<char>(words[3]));
    }
    try {
      const std::string kept = resumed(text, 2);
      CHECK(text.compare(0, kept.size(), kept) == 0);
    } catch (const InputError& error) {
      CHECK_FALSE(error.parts().source.empty());
    }
  }
}

TEST_CASE("MetricsLog: a full disk leaves whole lines", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  MetricsLog log(file, -1);
  log.append(1, std::vector<Metric>{{"reward", 0.5}});
  const std::string before = read_file(file);
  {
    const FileSizeLimit full(before.size() + 10);
    CHECK_THROWS_AS(log.append(2, std::vector<Metric>{{"reward", 0.5}}), std::system_error);
  }
  CHECK(read_file(file) == before);
  log.append(2, std::vector<Metric>{{"reward", 0.75}});
  CHECK(read_file(file) == before + "{\"step\":2,\"reward\":0.75}\n");
}

TEST_CASE("read_metrics: the lines, their order and what is null", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  write(file, "{\"step\":0,\"eval/greedy\":0.5}\n{\"step\":7,\"b\":2,\"a\":null,\"c\":1e-3}\n");
  const MetricsRecord record = read_metrics(file);
  CHECK_FALSE(record.torn_line);
  REQUIRE(record.lines.size() == 2);
  CHECK(record.lines[0].step == 0);
  CHECK(record.lines[1].step == 7);
  REQUIRE(record.lines[1].metrics.size() == 3);
  CHECK(record.lines[1].metrics[0].name == "b");
  CHECK(record.lines[1].metrics[0].value == 2.0);
  CHECK(std::isnan(record.lines[1].metrics[1].value));
  CHECK(record.lines[1].metrics[2].value == 1e-3);
}

TEST_CASE("read_metrics: a torn last line is left out and the file stays as it is", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  for (const std::string& text :
       {kFourSteps + "{\"step\":4,\"rew", kFourSteps + std::string("\0\n", 2)}) {
    write(file, text);
    const MetricsRecord record = read_metrics(file);
    CHECK(record.torn_line);
    CHECK(record.lines.size() == 4);
    CHECK(read_file(file) == text);
  }
}

TEST_CASE("read_metrics: what is wrong is named with its line", "[rl]") {
  const TemporaryDirectory directory;
  const std::filesystem::path file = directory.path() / "metrics.jsonl";
  const auto refusal = [&](const std::string& line) {
    write(file, "{\"step\":1}\n" + line + "\n{\"step\":3}\n");
    try {
      read_metrics(file);
      return std::string("none");
    } catch (const InputError& error) {
      return std::string(error.what()).substr(file.string().size());
    }
  };
  CHECK(refusal("{\"step\":}").substr(0, 2) == ":2");
  CHECK(refusal("{\"step\":1}") ==
        ":2: step: expected more than 1, the step of the line before, got 1");
  CHECK(refusal("{\"reward\":1}") == ":2: step: expected an integer, got nothing");
  CHECK(refusal("{\"step\":2,\"reward\":\"high\"}") ==
        ":2: reward: expected a number or null, got \"high\"");
  CHECK(refusal("{\"step\":2}") == "none");
}

TEST_CASE("TrainingClock: a line stands for the steps since the one before it", "[rl]") {
  TrainingClock clock;
  CHECK(clock.after(0, std::vector<Metric>{{"eval/greedy", 0.5}}) == 0.0);
  CHECK(clock.after(10, std::vector<Metric>{{"step_time", 0.5}}) == 5.0);
  CHECK(clock.after(15, std::vector<Metric>{{"eval/greedy", 0.5}}) == 5.0);
  CHECK(clock.after(20, std::vector<Metric>{{"reward", 1.0}, {"step_time", 1.0}}) == 15.0);
}

}  // namespace zeroth
