#include "rewards/rules/answer_reward.h"

#include <catch2/catch.hpp>
#include <string>

#include "system/error.h"
#include "tests/rewards/item_of.h"

namespace zeroth {
namespace {

constexpr const char* kSkip = R"({"unreadable_reference": "skip"})";

TEST_CASE("answer_reward: accuracy can leave out references that are no mathematics", "[rewards]") {
  const RewardItem words{.completion = "\\boxed{forty two}", .reference = "forty two"};
  CHECK(score_of("accuracy", words) == 1.0);
  CHECK_FALSE(applies("accuracy", words, kSkip));
  for (const char* reference : {"Answer is forty two.", "unparseable_latex", "\\frac{", ""}) {
    INFO(reference);
    CHECK_FALSE(applies("accuracy", {.completion = "\\boxed{42}", .reference = reference}, kSkip));
  }
  for (const char* reference :
       {"\\boxed{B}", "\\boxed{forty two}", "x = 5", "5 apples", "(1, 2)"}) {
    INFO(reference);
    CHECK(score_of("accuracy", {.completion = reference, .reference = reference}, kSkip) ==
          (std::string_view(reference).starts_with("\\boxed") ? 1.0 : 0.0));
  }
  const RewardItem number{.completion = "\\boxed{42}", .reference = "\\boxed{42}"};
  CHECK(score_of("accuracy", number, kSkip) == 1.0);
}

TEST_CASE("answer_reward: what stands in the reasoning is no answer", "[rewards]") {
  const auto score = [](std::string_view completion) {
    return score_of("reasoning_accuracy", {.completion = completion, .reference = "42"});
  };
  CHECK(score("<think>a</think>\\boxed{42}") == 1.0);
  CHECK(score("<think>\\boxed{42}</think>\\boxed{41}") == 0.0);
  CHECK(score("<think>\\boxed{42}</think>") == 0.0);
  CHECK(score("\\boxed{42}") == 0.0);
  CHECK(score("</think>\\boxed{41}</think>\\boxed{42}") == 1.0);
  CHECK(score_of("accuracy", {.completion = "<think>\\boxed{42}</think>", .reference = "42"}) ==
        1.0);
}

TEST_CASE("answer_reward: the first delimiter that occurs ends the reasoning", "[rewards]") {
  const std::string parameters = R"({"reasoning_delimiters": ["[/A]", "[/B]"]})";
  const auto score = [&](std::string_view completion) {
    return score_of("reasoning_accuracy", {.completion = completion, .reference = "42"},
                    parameters);
  };
  CHECK(score("[/B]\\boxed{42}") == 1.0);
  CHECK(score("[/A]\\boxed{42}[/B]\\boxed{41}") == 0.0);
  CHECK(score("[/B]\\boxed{42}[/A]") == 0.0);
  CHECK(score("</think>\\boxed{42}") == 0.0);
}

TEST_CASE("answer_reward: delimiters that are none are refused", "[rewards]") {
  for (const char* delimiters : {"[]", R"([""])", R"(["</think>", ""])", "[1]", R"("</think>")"})
    CHECK_THROWS_AS(
        make_reward("reasoning_accuracy",
                    {.parameters = R"({"reasoning_delimiters": )" + std::string(delimiters) + "}"}),
        InputError);
}

TEST_CASE("answer_reward: exact_answer compares letters and digits", "[rewards]") {
  const auto score = [](std::string_view completion, std::string_view reference) {
    return score_of("exact_answer", {.completion = completion, .reference = reference});
  };
  CHECK(score("<answer>Hello, 123!</answer>", "hello123") == 1.0);
  CHECK(score("<answer>\u00c9t\u00e9 \u2014 7</answer>", "\u00e9T\u00c9-7") == 1.0);
  CHECK(score("<answer>hello124</answer>", "hello123") == 0.0);
  CHECK(score("hello123", "hello123") == 0.0);
  CHECK(score("<answer>321olleh</answer>", "hello123") == 0.0);
  CHECK(score("<answer>-5</answer>", "5") == 1.0);  // the sign is no digit: as the rule is
  CHECK(score_of("exact_answer", {.completion = "<s>a</s>", .reference = "A"},
                 R"({"answer_tag": "s"})") == 1.0);
}

TEST_CASE("answer_reward: an exact_answer without letters and digits is asked about", "[rewards]") {
  CHECK_FALSE(make_reward("exact_answer")->wanted_instead_of("+-").empty());
  CHECK(make_reward("exact_answer")->wanted_instead_of("+7").empty());
}

TEST_CASE("answer_reward: math_expression compares what the tags hold", "[rewards]") {
  const auto score = [](std::string_view completion) {
    return score_of("math_expression", {.completion = completion, .reference = "1/2"});
  };
  CHECK(score("<answer>\\frac{1}{2}</answer>") == 1.0);
  CHECK(score("<answer>so \\boxed{0.5}</answer>") == 1.0);
  CHECK(score("<answer>2</answer>") == 0.0);
  CHECK(score("\\boxed{1/2}") == 0.0);
  CHECK_FALSE(make_reward("math_expression")->wanted_instead_of("\\frac{").empty());
}

}  // namespace
}  // namespace zeroth
