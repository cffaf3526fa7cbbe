#include "rewards/registry.h"

#include <catch2/catch.hpp>

#include "system/error.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("registry: every row makes the reward it names", "[rewards]") {
  std::string_view previous;
  for (const RewardEntry& entry : reward_entries()) {
    CHECK(make_reward(entry.name)->name() == entry.name);
    CHECK_FALSE(entry.description.empty());
    CHECK(previous < entry.name);
    previous = entry.name;
  }
}

TEST_CASE("registry: rewards score one completion as their rows say", "[rewards]") {
  const char* names[] = {"accuracy",     "accuracy_in_format", "boxed",       "exact_answer",
                         "format",       "format_parts",       "tag_pairs",   "think_format",
                         "format_lines", "math_expression",    "code_format", "reasoning_accuracy"};
  const std::pair<const char*, std::vector<double>> rows[] = {
      {"<think>a</think><answer>42</answer>", {1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1}},
      {"<think>a</think><answer>41</answer>", {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0}},
      {"<think>a</think>\\boxed{42}", {1, 0, 1, 0, 0, 0.5, 0.25, 1, 0, 0, 0, 1}},
      {"", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
  };
  for (const auto& [completion, expected] : rows) {
    const RewardItem item{.completion = completion, .reference = "42"};
    std::vector<double> scores;
    for (const char* name : names) scores.push_back(make_reward(name)->score({&item, 1}).at(0));
    CHECK(scores == expected);
  }
}

TEST_CASE("registry: every reward takes any bytes, and the same again", "[rewards]") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  const std::int32_t ids[] = {-1, 0, 2000000000};
  const RewardItem items[] = {
      {.completion = bytes, .reference = "42", .num_tokens = 3, .max_tokens = 4},
      {.completion = {}, .reference = "42"},
      {.completion = "\xf0\x9f", .reference = "42", .max_tokens = 1, .completion_ids = ids},
  };
  for (const RewardEntry& entry : reward_entries()) {
    INFO(entry.name);
    const auto reward = make_reward(entry.name);
    const auto once = reward->judge(items, OnRewardError::exclude);
    const auto again = reward->judge(items, OnRewardError::exclude);
    for (std::size_t i = 0; i < std::size(items); ++i) {
      CHECK(once[i].result == again[i].result);
      if (once[i].result == RewardResult::scored) CHECK(once[i].score == again[i].score);
    }
  }
}

TEST_CASE("registry: the options reach the rewards that look at the answer", "[rewards]") {
  const RewardItem item{.completion = "A: 42", .reference = "42"};
  const RewardOptions options{.extraction = parse_extraction("after=A:")};
  CHECK(make_reward("accuracy", options)->score({&item, 1}).at(0) == 1.0);
  CHECK(make_reward("accuracy")->score({&item, 1}).at(0) == 0.0);
}

TEST_CASE("registry: every row lists its parameters, and refuses others", "[rewards]") {
  for (const RewardEntry& entry : reward_entries()) {
    INFO(entry.name);
    for (const RewardParameter& parameter : entry.parameters())
      CHECK_NOTHROW(make_reward(entry.name, {.parameters = "{\"" + parameter.key +
                                                           "\":" + parameter.default_json + "}"}));
    CHECK_THROWS_WITH(
        make_reward(entry.name, {.parameters = R"({"no_such_key": 1})"}),
        Contains("reward_config: " + std::string(entry.name)) && Contains("got no_such_key"));
  }
}

TEST_CASE("registry: an unknown name gives the nearest and the list", "[rewards]") {
  CHECK_THROWS_AS(make_reward("acuracy"), InputError);
  CHECK_THROWS_WITH(make_reward("acuracy"),
                    Contains("accuracy, accuracy_in_format, boxed, code_format") &&
                        Contains("nearest is accuracy,"));
}

}  // namespace
}  // namespace zeroth
