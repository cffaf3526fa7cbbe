#include "rl/completions_log.h"

#include <boost/json.hpp>
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
#include "system/file.h"
#include "tests/rl/temporary_directory.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/mutate.h"

namespace zeroth {
namespace {

CompletionRecord example() {
  return {.prompt = "347+586=",
          .completion = "<answer>933</answer>",
          .reference = "933",
          .rewards = {{"accuracy", 1.0}, {"format", 0.5}},
          .reward = 1.05,
          .advantage = 0.25,
          .num_tokens = 7,
          .finish_reason = FinishReason::stop};
}

std::string completion_as_written(const std::string& completion) {
  const TemporaryDirectory directory;
  CompletionRecord record = example();
  record.completion = completion;
  const auto file = write_completions(directory.path(), 1, std::vector{record});
  const boost::json::value line = boost::json::parse(read_file(file));  // refuses what is not UTF-8
  return std::string(line.at("completion").as_string());
}

}  // namespace

TEST_CASE("write_completions: one line a completion", "[rl]") {
  const TemporaryDirectory directory;
  CompletionRecord cut = example();
  cut.completion = "a \"quoted\"\nline";
  cut.rewards[0].value = std::numeric_limits<double>::quiet_NaN();
  cut.finish_reason = FinishReason::length;
  const auto file = write_completions(directory.path(), 40, std::vector{example(), cut});
  CHECK(file == directory.path() / "completions" / "step-000040.jsonl");
  CHECK(read_file(file) ==
        "{\"prompt\":\"347+586=\",\"completion\":\"<answer>933</answer>\",\"reference\":\"933\","
        "\"rewards\":{\"accuracy\":1.0,\"format\":0.5},\"reward\":1.05,\"advantage\":0.25,"
        "\"num_tokens\":7,\"finish_reason\":\"stop\"}\n"
        "{\"prompt\":\"347+586=\",\"completion\":\"a \\\"quoted\\\"\\nline\",\"reference\":\"933\","
        "\"rewards\":{\"accuracy\":null,\"format\":0.5},\"reward\":1.05,\"advantage\":0.25,"
        "\"num_tokens\":7,\"finish_reason\":\"length\"}\n");
}

TEST_CASE("write_completions: a step executed again replaces its file", "[rl]") {
  const TemporaryDirectory directory;
  write_completions(directory.path(), 1234567, std::vector{example(), example()});
  const auto file = write_completions(directory.path(), 1234567, {});
  CHECK(file.filename() == "step-1234567.jsonl");
  CHECK(read_file(file).empty());
  CHECK_THROWS_AS(write_completions(directory.path(), -1, {}), std::invalid_argument);
}

TEST_CASE("write_completions: bytes that are not UTF-8 become U+FFFD", "[rl]") {
  CHECK(completion_as_written("a\xE2\x82\xAC\xF0\x9F\x98\x80z") ==
        "a\xE2\x82\xAC\xF0\x9F\x98\x80z");
  CHECK(completion_as_written("a\xFFz") == "a\xEF\xBF\xBDz");
  CHECK(completion_as_written("a\xE2\x82") == "a\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(completion_as_written("\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(completion_as_written("\xC0\xAF") == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("write_completions: any bytes give a file that parses", "[rl]") {
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    std::string bytes;
    for (std::uint32_t i = 0; i < 40; ++i) {
      bytes.push_back(static_cast<char>(Philox::block({seed, i, 0, 0}, {3, 4})[0]));
    }
    CHECK_NOTHROW(completion_as_written(bytes));
  }
}

TEST_CASE("write_completions: a full disk leaves the old file and nothing beside it", "[rl]") {
  const TemporaryDirectory directory;
  const auto file = write_completions(directory.path(), 1, std::vector{example()});
  const std::string before = read_file(file);
  {
    const FileSizeLimit full(10);
    CHECK_THROWS_AS(write_completions(directory.path(), 1, std::vector{example(), example()}),
                    std::system_error);
  }
  CHECK(read_file(file) == before);
  const std::filesystem::directory_iterator files(directory.path() / "completions");
  CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("read_completions: what was written comes back", "[rl]") {
  const TemporaryDirectory directory;
  CompletionRecord cut = example();
  cut.completion = "a \"quoted\"\nline \xE2\x80\xA8";
  cut.rewards[0].value = std::numeric_limits<double>::quiet_NaN();
  cut.finish_reason = FinishReason::length;
  const std::vector<CompletionRecord> written = {example(), cut};
  const auto file = write_completions(directory.path(), 40, written);
  const std::vector<CompletionRecord> read = read_completions(file);
  REQUIRE(read.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(read[i].prompt == written[i].prompt);
    CHECK(read[i].completion == written[i].completion);
    CHECK(read[i].reference == written[i].reference);
    CHECK(read[i].reward == written[i].reward);
    CHECK(read[i].advantage == written[i].advantage);
    CHECK(read[i].num_tokens == written[i].num_tokens);
    CHECK(read[i].finish_reason == written[i].finish_reason);
    REQUIRE(read[i].rewards.size() == 2);
    CHECK(read[i].rewards[1].name == "format");
    CHECK(read[i].rewards[1].value == 0.5);
  }
  CHECK(read[0].rewards[0].value == 1.0);
  CHECK(std::isnan(read[1].rewards[0].value));
}

TEST_CASE("read_completions: damaged files are read or refused with a line", "[rl]") {
  const TemporaryDirectory directory;
  const auto file = write_completions(directory.path(), 1, std::vector{example(), example()});
  const std::string text = read_file(file);
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::ofstream(file, std::ios::binary) << testing::mutate(text, seed);
    try {
      read_completions(file);
    } catch (const InputError& error) {
      CHECK(error.parts().source.find("step-000001.jsonl:") != std::string::npos);
    }
  }
}

TEST_CASE("completion_steps: ascending, and nothing but files of steps", "[rl]") {
  const TemporaryDirectory directory;
  CHECK(completion_steps(directory.path()).empty());
  for (const std::int64_t step : {1234567, 3, 20})
    write_completions(directory.path(), step, std::vector{example()});
  for (const char* name :
       {"step-4.jsonl", "step-000005.jsonl.tmp-1", "step-.jsonl", "step-00x006.jsonl"})
    std::ofstream(directory.path() / "completions" / name) << "x";
  CHECK(completion_steps(directory.path()) == std::vector<std::int64_t>{3, 20, 1234567});
}

}  // namespace zeroth
