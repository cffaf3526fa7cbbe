#include "rewards/host/script_host.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "rewards/host/plugin_host.h"
#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using testing::outcome_of;
using testing::outcomes_of;
using testing::reward_host;
using testing::texts_of;

const std::string kFile =
    std::string(ZEROTH_SOURCE_DIR) + "/tests/rewards/plugins/wayward_rewards.py";

std::unique_ptr<HostedReward> script(const std::string& function, double timeout = 30.0) {
  return make_script_reward("python:" + kFile + ":" + function, reward_host(timeout));
}

TEST_CASE("script host: what a function can do to itself, by name", "[rewards]") {
  const auto reward = script("wayward");
  CHECK(reward->name() == "wayward");
  CHECK(reward->description() == "What it is told");
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");
  CHECK_THAT(outcome_of(*reward, "raise"),
             StartsWith("raised: ValueError: raised by the script (wayward_rewards.py:"));
  CHECK(outcome_of(*reward, "exit") == "exit: exit code 3");
  CHECK(outcome_of(*reward, "abort") == "crash: killed by SIGABRT (aborted)");
  CHECK(outcome_of(*reward, "nan") == "not_finite: the score nan");
  CHECK_THAT(outcome_of(*reward, "text"),
             Contains("raised: TypeError: the score '1' is no number"));
  CHECK(outcome_of(*reward, "none") == "not_applicable: ");
  CHECK(outcome_of(*reward, "true") == "1.000000");
  CHECK(outcome_of(*reward, "count") == "wrong_count: 0 scores for 1 items");
  CHECK(outcome_of(*reward, "print") == "5.000000");
  CHECK_THAT(outcome_of(*reward, "socket"), StartsWith("raised: PermissionError"));
  if (testing::kMemoryIsLimited)
    CHECK_THAT(outcome_of(*reward, "allocate"), StartsWith("memory: MemoryError"));
  CHECK(outcome_of(*reward, "\xff\xfe") == "2.000000");  // what is not UTF-8 is replaced
}

TEST_CASE("script host: a function that does not answer is ended at the deadline", "[rewards]") {
  const auto reward = script("wayward", 1.0);
  for (const char* completion : {"loop", "sleep"})
    CHECK(outcome_of(*reward, completion) == "hang: no answer within 1 s");
}

TEST_CASE("script host: one completion that fails does not fail its mates", "[rewards]") {
  const auto reward = script("wayward");
  const auto texts = texts_of(outcomes_of(*reward, {"a", "raise", "bb", "none", "exit", "ccc"}));
  CHECK(texts[0] == "1.000000");
  CHECK_THAT(texts[1], StartsWith("raised: ValueError"));
  CHECK(texts[2] == "2.000000");
  CHECK(texts[3] == "not_applicable: ");
  CHECK(texts[4] == "exit: exit code 3");
  CHECK(texts[5] == "3.000000");
}

TEST_CASE("script host: a function gets the columns that it names", "[rewards]") {
  const std::int32_t ids[] = {1, 2, 3};
  const std::vector<RewardItem> items = {{.prompt = "p0",
                                          .completion = "c0",
                                          .reference = "a0",
                                          .columns_json = R"({"level": 3})",
                                          .completion_ids = std::span(ids).first(2)},
                                         {.prompt = "p1",
                                          .completion = "c1",
                                          .reference = "a1",
                                          .columns_json = "",
                                          .finish_reason = FinishReason::length,
                                          .completion_ids = std::span(ids).last(1)}};
  CHECK(script("columns")->score(items) == std::vector{1.0, 2.0});
  // prompts, completions, completion_ids, reference, answer, num_tokens, max_tokens, finish_reason,
  // and TRL's two for logging;
  // columns that are there already under the plural are not there twice.
  const std::vector<RewardItem> plain = {
      {.completion = "c", .columns_json = R"({"level": 3, "prompt": "p", "completion": "c"})"}};
  CHECK(script("every_column")->score(plain) == std::vector{11.0});
}

TEST_CASE("script host: what a function is given for an item is a matter of its record alone",
          "[rewards]") {
  const char* columns[] = {R"({"level": 1, "difficulty": 4})", "",
                           R"({"level": 2, "topic": "a"})",    R"({"topic": "b", "source": "c"})",
                           R"({"level": 3, "topic": null})",   R"({"difficulty": 5})"};
  std::vector<RewardItem> items;
  for (const char* text : columns) items.push_back({.completion = "c", .columns_json = text});
  const std::pair<const char*, std::vector<double>> rows[] = {
      {"asks_for_more", {4, 0, 0, 0, 0, 5}},        // None where there is none
      {"level_or_seven", {1, 7, 2, 7, 3, 7}},       // its default stays
      {"number_of_columns", {10, 0, 21, 2, 31, 0}}  // both
  };
  for (const auto& [function, expected] : rows) {
    const auto reward = script(function);
    INFO(function);
    CHECK(reward->score(items) == expected);
    for (std::size_t batch = 1; batch <= 4; ++batch) {
      std::vector<double> apart;
      for (std::size_t first = 0; first < items.size(); first += batch) {
        const auto part = std::span(items).subspan(first, std::min(batch, items.size() - first));
        for (const double score : reward->score(part)) apart.push_back(score);
      }
      CHECK(apart == expected);
    }
  }
}

TEST_CASE("script host: a request that there is no memory for", "[rewards]") {
  if (!testing::kMemoryIsLimited) return;
  RewardHost host = reward_host();
  host.memory = std::int64_t{64} << 20;
  const auto reward = make_script_reward("python:" + kFile + ":wayward", host);
  const std::string text(std::size_t{80} << 20, 'x');
  CHECK_THAT(outcome_of(*reward, text), StartsWith("memory: MemoryError"));
  CHECK(outcome_of(*reward, "1234567") == "7.000000");
}

TEST_CASE("script host: a copy of the process that returns says nothing", "[rewards]") {
  const auto reward = script("wayward");
  for (int i = 0; i < 5; ++i)
    CHECK(texts_of(outcomes_of(*reward, {"twice", std::string(std::size_t(i), 'x')})) ==
          std::vector<std::string>{"5.000000", std::to_string(double(i))});
  CHECK(reward->num_restarts() == 0);
}

TEST_CASE("script host: None is no score where one is needed", "[rewards]") {
  CHECK_THROWS_WITH(script("wayward")->score(testing::items_of({"a", "none"})),
                    Contains("not_applicable on item 1"));
}

TEST_CASE("script host: a wrong number of scores is found before a run", "[rewards]") {
  const auto refusal = [](const std::string& function) -> std::string {
    try {
      script(function)->try_on(testing::items_of({"a", "b", "c"}));
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK_THAT(refusal("mean"), Contains("expected a score for each item, got 1 scores for 3 items"));
  CHECK_THAT(refusal("one_number"), Contains("got a float for 3 items"));
  CHECK(refusal("wayward") == "accepted");
}

TEST_CASE("script host: what is no reward is refused with the reason", "[rewards]") {
  const testing::TemporaryDirectory directory;
  const auto file = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory / name) << text;
    return (directory / name).string();
  };
  const auto refusal = [](const std::string& name, const RewardHost& host) -> std::string {
    try {
      make_script_reward(name, host);
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  };
  const RewardHost host = reward_host();
  for (const char* name : {"python:", "python:x.py", "python:x.py:", "python::f"})
    CHECK_THAT(refusal(name, host),
               Contains("expected python:FILE:FUNCTION, got " + std::string(name)));
  CHECK_THAT(refusal("python:nowhere.py:f", host),
             StartsWith("nowhere.py: ") && Contains("No such file"));
  CHECK_THAT(refusal("python:" + kFile + ":waywart", host),
             Contains("waywart: expected one of its functions: act, wayward, columns"));
  CHECK_THAT(refusal("python:" + kFile + ":not_a_function", host), Contains("got int"));
  const std::string broken = file("broken.py", "x = 1\ndef f(:\n");
  CHECK_THAT(refusal("python:" + broken + ":f", host),
             Contains("broken.py: line 2: expected Python that can be read"));
  const std::string raising = file("raising.py", "import json\nimport nothing_of_that_name\n");
  CHECK_THAT(refusal("python:" + raising + ":f", host),
             Contains("nothing_of_that_name") && Contains("(raising.py:2)"));
  const std::string text = file("text.txt", "def f(completions): return []\n");
  CHECK_THAT(refusal("python:" + text + ":f", host), Contains("ends in .py, got text.txt"));
  const std::string exits = file("exits.py", "import sys\nsys.exit(5)\n");
  CHECK_THAT(refusal("python:" + exits + ":f", host), Contains("got exit code 5"));
  RewardHost without_python = host;
  without_python.python = "python-of-no-kind";
  CHECK_THAT(refusal("python:" + kFile + ":wayward", without_python),
             Contains("reward_python: expected a Python 3 interpreter, got python-of-no-kind: "));
}

TEST_CASE("script host: a module beside the file can be imported", "[rewards]") {
  const testing::TemporaryDirectory directory;
  std::ofstream(directory / "rules.py") << "def rule(text):\n    return 5.0\n";
  std::ofstream(directory / "mine.py") << "from rules import rule\ndef mine(completions):\n    "
                                          "return [rule(c) for c in completions]\n";
  const auto reward =
      make_script_reward("python:" + (directory / "mine.py").string() + ":mine", reward_host());
  CHECK(reward->score(testing::items_of({"a"})) == std::vector{5.0});
  CHECK_FALSE(std::filesystem::exists(directory / "__pycache__"));
}

TEST_CASE("script host: a set has one order in every process", "[rewards]") {
  std::vector<double> first;
  for (int i = 0; i < 3; ++i) {
    const std::vector<double> scores = script("order_of_a_set")->score(testing::items_of({"a"}));
    if (i == 0) first = scores;
    CHECK(scores == first);
  }
}

}  // namespace
}  // namespace zeroth
