// What script_function.py gives a function, and what it refuses.

#include <catch2/catch.hpp>

#include "rewards/host/script_host.h"
#include "tests/rewards/hosted.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;
using testing::items_of;
using testing::outcome_of;
using testing::outcomes_of;
using testing::texts_of;

const std::string kFile = ZEROTH_SOURCE_DIR "/tests/rewards/plugins/trl_rewards.py";

std::unique_ptr<HostedReward> script(const std::string& function,
                                     const std::string& parameters = "{}") {
  RewardHost host = testing::reward_host(60.0);
  host.parameters = parameters;
  return make_script_reward("python:" + kFile + ":" + function, host);
}

std::string refusal(const std::string& function, const std::string& parameters) {
  try {
    script(function, parameters);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST_CASE("script function: every argument of TRL's signature", "[rewards]") {
  const std::int32_t ids[] = {1, 2, 3};
  std::vector<RewardItem> items = {
      {.prompt = "p0",
       .completion = "c0",
       .reference = "a0",
       .columns_json =
           R"({"level": 3, "topic": ["x", {"y": 1}], "prompt": "q", "completion": "d"})",
       .num_tokens = 2,
       .max_tokens = 8,
       .completion_ids = std::span(ids).first(2)},
      {.prompt = "p1",
       .completion = "c1",
       .reference = "a1",
       .columns_json = R"({"level": 4, "topic": null})",
       .num_tokens = 1,
       .max_tokens = 8,
       .finish_reason = FinishReason::length,
       .completion_ids = std::span(ids).last(1)}};
  const auto reward = script("texts");
  reward->try_on(items);
  CHECK(texts_of(reward->judge(items, OnRewardError::exclude)) ==
        std::vector<std::string>{"1.000000", "not_applicable: "});
  items[1].num_tokens = 2;  // the control: the function looks at what it is given
  CHECK_THAT(testing::text_of(reward->judge(items, OnRewardError::exclude)[1]),
             Contains("raised: AssertionError"));
}

TEST_CASE("script function: conversations where the data has them, or where they are asked for",
          "[rewards]") {
  const RewardItem as_data[] = {{.prompt = "p",
                                 .completion = "four",
                                 .columns_json = R"({"prompt": [{"role": "system", "content": "s"},
                                      {"role": "user", "content": "p"}],
                           "expected": [{"role": "system", "content": "s"},
                                        {"role": "user", "content": "p"}]})"}};
  CHECK(script("conversations")->score(as_data) == std::vector{4.0});
  const RewardItem plain[] = {{.prompt = "p", .completion = "sixsix"}};
  CHECK(script("conversations", R"({"conversational": true})")->score(plain) == std::vector{6.0});
  CHECK_THROWS_WITH(script("conversations")->score(plain), Contains("AssertionError"));
  CHECK_THAT(refusal("conversations", R"({"conversational": 1})"),
             Contains("reward_config.conversational: expected true or false, got 1"));
  const RewardItem mixed[] = {as_data[0], plain[0], as_data[0]};
  CHECK(script("kinds")->score(mixed) == std::vector{1.0, 0.0, 1.0});
}

TEST_CASE("script function: async functions are awaited, the calls of a batch together",
          "[rewards]") {
  const auto reward = script("asynchronous");
  CHECK(reward->description() == "Awaited");
  const RewardItem items[] = {{.completion = "a"},
                              {.completion = "none"},
                              {.completion = "b", .columns_json = R"({"level": 1})"}};
  // Both calls had begun when the first went on.
  CHECK(texts_of(reward->judge(items, OnRewardError::exclude)) ==
        std::vector<std::string>{"2.000000", "not_applicable: ", "2.000000"});
  CHECK_THAT(outcome_of(*script("asynchronous_error"), "a"),
             Contains("raised: KeyError: 'late' (trl_rewards.py:"));
  CHECK(outcome_of(*script("AsyncBrevity", R"({"limit": 3})"), "abcd") == "0.000000");
}

TEST_CASE("script function: objects, classes and partial functions", "[rewards]") {
  CHECK(script("brevity")->description() == "An object that is called");
  CHECK(script("limited_to_two")->description() == "With a parameter");
  for (const auto& [function, parameters] :
       std::vector<std::pair<const char*, const char*>>{{"brevity", "{}"},
                                                        {"Brevity", R"({"limit": 3})"},
                                                        {"limited", R"({"limit": 3})"},
                                                        {"limited_to_two", R"({"limit": 3})"}}) {
    INFO(function);
    CHECK(script(function, parameters)->score(items_of({"abc", "abcd"})) == std::vector{1.0, 0.0});
  }
  CHECK(script("limited_to_two", R"({"scale": 0.5})")->score(items_of({"ab", "abc"})) ==
        std::vector{0.5, 0.0});
  CHECK(script("Brevity")->score(items_of({"abc", "abcd"})) == std::vector{1.0, 1.0});
}

TEST_CASE("script function: parameters that a function does not take are refused", "[rewards]") {
  CHECK_THAT(refusal("limited", R"({"limt": 3})"),
             Contains("reward_config: expected one of its parameters: limit, scale, "
                      "conversational, got limt"));
  CHECK_THAT(refusal("Brevity", R"({"limt": 3})"),
             Contains("expected one of its parameters: limit, conversational, got limt"));
  CHECK_THAT(refusal("Brevity", R"({"limit": -1})"),
             Contains("parameters that Brevity can be made of, got ValueError: limit below 0"));
  CHECK_THAT(refusal("brevity", R"({"limit": 3})"), Contains("got limit"));
  CHECK_THAT(refusal("limited", R"({"completions": 3})"), Contains("got completions"));
  CHECK_THAT(refusal("positional", "{}"), Contains("positional: expected parameters that can be"));
  CHECK_THAT(refusal("needs_trainer", "{}"),
             Contains("trainer_state: expected a function of what"));
  CHECK(outcome_of(*script("may_use_trainer"), "a") == "1.000000");
}

TEST_CASE("script function: a parameter that is a column of no record is found before a run",
          "[rewards]") {
  const auto reward = script("needs_difficulty");
  const RewardItem lacking[] = {
      {.completion = "a", .columns_json = R"({"level": 1, "topic": "x"})"},
      {.completion = "b"},
      {.completion = "c", .columns_json = R"({"level": 2})"}};
  CHECK_THROWS_WITH(
      reward->try_on(lacking),
      Contains("trl_rewards.py: needs_difficulty: expected a parameter that is a column (answer, "
               "level, topic), is in reward_config or has a default, got difficulty"));
  // Where one record has it, the others are given None.
  std::vector<RewardItem> with(std::begin(lacking), std::end(lacking));
  with.push_back({.completion = "d", .columns_json = R"({"difficulty": null})"});
  CHECK_NOTHROW(reward->try_on(with));
  CHECK_NOTHROW(script("limited", R"({"limit": 3})")->try_on(lacking));
  CHECK_THROWS_WITH(script("limited")->try_on(lacking), Contains("got limit"));
}

TEST_CASE("script function: what it prints, and what it starts prints, is no answer", "[rewards]") {
  CHECK(texts_of(outcomes_of(*script("prints"), {"a", "b"})) ==
        std::vector<std::string>{"2.000000", "2.000000"});
}

}  // namespace
}  // namespace zeroth
