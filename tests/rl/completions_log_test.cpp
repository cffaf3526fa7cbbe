#include "rl/completions_log.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "kernels/random.h"
#include "system/file.h"
#include "tests/rl/temporary_directory.h"
#include "tests/support/file_size_limit.h"

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

}  // namespace zeroth
