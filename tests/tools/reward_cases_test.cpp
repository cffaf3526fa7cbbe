#include "tools/reward_cases.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "system/error.h"

namespace zeroth {
namespace {

CaseResult graded(const std::string& text) {
  const JsonReader row = JsonReader::parse(text, "row");
  const std::string kind = reward_case_kind(row);
  REQUIRE(grades_reward_case(kind));
  return grade_reward_case(row, kind);
}

std::string got(const std::string& text) {
  return write_json(graded(text).got);
}

TEST_CASE("reward_cases: conversations and texts are completions", "[tools][cases]") {
  CHECK(got(R"({"function": "think_format_reward",
                "args": [[[{"content": "<think>a</think>b"}], "a"]]})") == "[1.0,0.0]");
  CHECK(got(R"({"function": "think_format_reward",
                "kwargs": {"completions": ["<think>a</think>b"], "prompts": ["p"]}})") == "[1.0]");
}

TEST_CASE("reward_cases: arguments that make a function are parameters", "[tools][cases]") {
  CHECK(got(R"({"function": "get_soft_overlong_punishment",
                "factory_kwargs": {"max_completion_len": 4, "soft_punish_cache": 2},
                "kwargs": {"completion_ids": [[1], [1, 1, 1], [1, 1, 1, 1, 1]]}})") ==
        "[0.0,-0.5,-1.0]");
  CHECK(got(R"({"function": "reasoning_accuracy_reward", "args": [["END \\boxed{4}"], ["4"]],
                "kwargs": {"reasoning_delimiters": ["END"]}})") == "[1.0]");
}

// One name, two projects: the arguments tell them apart.
TEST_CASE("reward_cases: whose function it is shows in the call", "[tools][cases]") {
  const std::string made = R"({"function": "get_repetition_penalty_reward",
                               "factory_kwargs": {"ngram_size": 1, "max_penalty": -1}, )";
  CHECK(got(made + R"("args": [[[5, 5]]]})") == "[-0.5]");
  CHECK(got(made + R"("args": [[[{"content": "Word word"}]]]})") == "[-0.5]");
  CHECK(got(R"({"function": "format_reward", "kwargs": {"response": "<answer>a</answer>"}})") ==
        "[0.75]");
  CHECK(got(R"({"function": "format_reward", "args": [["<answer>a</answer>"]]})") == "[0.0]");
}

TEST_CASE("reward_cases: where a reward does not apply the score is null, or open-r1's 1",
          "[tools][cases]") {
  const std::string args = R"("args": [["\\boxed{4}"], ["forty two"]]})";
  CHECK(got(R"({"function": "accuracy_reward", )" + args) == "[null]");
  CHECK(got(R"({"function": "get_cosine_scaled_reward", )" + args) == "[1.0]");
  CHECK(got(R"({"function": "get_cosine_scaled_reward",
                "args": [["\\boxed{4}"], ["forty two"], [[1, 2]]]})") == "[null]");
}

TEST_CASE("reward_cases: scores agree or not, and a call that raises is refused",
          "[tools][cases]") {
  const std::string row = R"({"function": "tag_count_reward", "args": [["<think>\n"]], "output": )";
  CHECK(graded(row + "[0.25]}").ok == true);
  CHECK(graded(row + "[0.2500000000001]}").ok == true);
  CHECK(graded(row + "[0.26]}").ok == false);
  CHECK(graded(row + "[null]}").ok == false);
  CHECK(graded(row + "[0.25, 0.25]}").ok == false);
  CHECK(graded(R"({"function": "tag_count_reward", "args": [["a"]]})").ok == std::nullopt);
  const std::string made = R"({"function": "get_repetition_penalty_reward", "raises": "ValueError",
                               "factory_kwargs": {"ngram_size": 2, "max_penalty": )";
  CHECK(graded(made + "0.5}}").ok == true);
  CHECK(graded(made + "-0.5}}").ok == false);
}

TEST_CASE("reward_cases: rules that are not offered are named, and broken rows are errors",
          "[tools][cases]") {
  const auto kind = [](const std::string& row) {
    return reward_case_kind(JsonReader::parse(row, "row"));
  };
  CHECK(kind(R"({"function": "get_xml_reward"})") == "reward call: get_xml_reward");
  CHECK_FALSE(grades_reward_case("reward call: get_xml_reward"));
  CHECK_FALSE(grades_reward_case("answer-vs-answer"));
  const std::string chinese = kind(R"({"function": "get_repetition_penalty_reward",
                                       "factory_kwargs": {"language": "zh"}})");
  CHECK(chinese == "reward call: get_repetition_penalty_reward (language zh)");
  CHECK_FALSE(grades_reward_case(chinese));
  CHECK_THROWS_AS(graded(R"({"function": "accuracy_reward", "output": [1]})"), InputError);
  CHECK_THROWS_AS(graded(R"({"function": "accuracy_reward", "args": [5], "output": [1]})"),
                  InputError);
  for (const char* output : {"1e999", "[1e999]", "\"one\"", "[true]"})
    CHECK_THROWS_AS(graded(R"({"function": "tag_count_reward", "args": [["a"]], "output": )" +
                           std::string(output) + "}"),
                    InputError);
  CHECK_THROWS_AS(graded(R"({"function": "get_cosine_scaled_reward", "args": [["a"], ["1"]],
                             "factory_kwargs": {"max_value_correct": 1e999}, "output": [1]})"),
                  InputError);
}

TEST_CASE("fixtures: recorded calls of rewards agree wherever the rule is offered",
          "[tools][fixtures]") {
  const char* root = std::getenv("ZEROTH_FIXTURES");
  const auto path = std::filesystem::path(root == nullptr ? "" : root) / "rewards";
  if (root == nullptr || !std::filesystem::is_directory(path)) {
    WARN("skipped: ZEROTH_FIXTURES has no rewards");
    return;
  }
  CaseTally tally;
  for (const std::filesystem::path& file : case_files(path)) {
    for (const GradedCase& row : grade_file(file)) {
      tally.add(row);
      INFO(row.where << " " << row.result.why << " " << case_json(row));
      CHECK(row.state != GradedCase::State::broken);
      CHECK(row.result.ok.value_or(true));
    }
  }
  WARN("recorded calls: " << tally.agree << " of " << tally.labelled << " agree, "
                          << tally.not_understood << " of rules that are not offered");
  CHECK(tally.labelled > 0);
}

}  // namespace
}  // namespace zeroth
