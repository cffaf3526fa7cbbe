#include "rewards/rules/format_reward.h"

#include <catch2/catch.hpp>

#include "datasets/sums.h"

namespace zeroth {
namespace {

TEST_CASE("format_reward: the layout, with and without white space between", "[rewards]") {
  CHECK(follows_format("<think>a</think><answer>b</answer>"));
  CHECK(follows_format("<think></think> \n<answer>b</answer>"));
  CHECK(follows_format("<think>\na < b\n</think>\n<answer>\n{1}\n</answer>"));
}

TEST_CASE("format_reward: everything else is not the layout", "[rewards]") {
  for (const char* completion :
       {"", "a", "<think>a</think>", "<answer>b</answer>", "<think>a</think><answer></answer>",
        "<think>a</think><answer> \n </answer>", " <think>a</think><answer>b</answer>",
        "<think>a</think><answer>b</answer>\n", "<think>a</think>x<answer>b</answer>",
        "<think>a<think></think><answer>b</answer>", "<think>a</think></think><answer>b</answer>",
        "<think>a</think><answer>b</answer><answer>c</answer>",
        "<answer>b</answer><think>a</think>", "<think><answer>b</answer></think>",
        "<think>a<answer></think>b</answer>", "<think>a</think><answer>b",
        "<Think>a</Think><Answer>b</Answer>"}) {
    INFO(completion);
    CHECK_FALSE(follows_format(completion));
  }
}

TEST_CASE("format_reward: a quarter for each tag that occurs once and in order", "[rewards]") {
  CHECK(format_parts("no tags") == 0.0);
  CHECK(format_parts("<think>a") == 0.25);
  CHECK(format_parts("<think>a</think>") == 0.5);
  CHECK(format_parts("<think>a</think><answer>b") == 0.75);
  CHECK(format_parts("a</think><answer>b</answer>") == 0.75);
  CHECK(format_parts("x <think>a</think> y <answer>b</answer> z") == 1.0);
  CHECK(format_parts("<think><think>a</think><answer>b</answer>") == 0.75);
  CHECK(format_parts("<answer>b</answer><think>a</think>") == 0.5);
  CHECK(format_parts("</think><think>") == 0.25);
}

TEST_CASE("format_reward: the layout always has all four parts", "[rewards]") {
  const SumsTask task({.num_train = 200});
  int whole = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const std::string trace =
        sums_trace(task.problems(Split::train)[i], {.bad_format = 0.5}, {.index = i});
    CHECK(format_parts(trace) == (follows_format(trace) ? 1.0 : 0.75));
    whole += follows_format(trace) ? 1 : 0;
  }
  CHECK(whole > 60);
  CHECK(whole < 140);
}

TEST_CASE("format_reward: right answers in the right layout only", "[rewards]") {
  const auto reward = make_accuracy_in_format_reward();
  const RewardItem items[] = {
      {.completion = "<think>a</think><answer>42</answer>", .reference = "42"},
      {.completion = "<think>a</think><answer>41</answer>", .reference = "42"},
      {.completion = "<answer>42</answer>", .reference = "42"},
      {.completion = "\\boxed{42}", .reference = "42"},
  };
  CHECK(reward->score(items) == std::vector{1.0, 0.0, 0.0, 0.0});
  CHECK(make_format_reward()->score(items) == std::vector{1.0, 1.0, 0.0, 0.0});
  CHECK(make_graded_format_reward()->score(items) == std::vector{1.0, 1.0, 0.5, 0.0});
  CHECK(reward->score({}).empty());
}

}  // namespace
}  // namespace zeroth
