#include "rewards/rules/math_reward.h"

#include <catch2/catch.hpp>

#include "datasets/sums.h"

namespace zeroth {
namespace {

double accuracy(std::string_view completion, std::string_view reference) {
  const RewardItem item{.completion = completion, .reference = reference};
  return make_accuracy_reward()->score({&item, 1}).at(0);
}

TEST_CASE("math_reward: numbers are compared by value", "[rewards]") {
  CHECK(accuracy("<answer>1,234.0</answer>", "1234") == 1.0);
  CHECK(accuracy("so \\boxed{\\frac{2}{4}}", "0.5") == 1.0);
  CHECK(accuracy("#### $18.", "18") == 1.0);
  CHECK(accuracy("<answer>41</answer>", "42") == 0.0);
  CHECK(accuracy("<answer>50%</answer>", "1/2") == 1.0);
  CHECK(accuracy("<answer>50%</answer>", "50") == 0.0);
}

TEST_CASE("math_reward: other answers are compared as mathematics", "[rewards]") {
  CHECK(accuracy("\\boxed{\\left( 3, \\frac{\\pi}{2} \\right)}", "(3,\\dfrac{\\pi}{2})") == 1.0);
  CHECK(accuracy("\\boxed{x + 1}", "x+1.") == 1.0);
  CHECK(accuracy("\\boxed{1+x}", "x+1") == 1.0);
  CHECK(accuracy("\\boxed{1-x}", "x-1") == 0.0);
  CHECK(accuracy("\\boxed{x}", "X") == 0.0);
}

TEST_CASE("math_reward: where a number is asked for, arithmetic left to do is no answer",
          "[rewards]") {
  for (const char* answer : {"312+176", "488+0", "2 \\cdot 244", "x = 312+176", "4*(100+22)"}) {
    INFO(answer);
    CHECK_FALSE(answers_equal(answer, "488"));
  }
  for (const char* answer :
       {"488", "488.0", "976/2", "x = 488", "4.88\\times 10^2", "487\\frac{2}{2}"}) {
    INFO(answer);
    CHECK(answers_equal(answer, "488"));
  }
  CHECK_FALSE(answers_equal("488;", "488"));
  CHECK(answers_equal("\\frac{1}{2} + \\frac{1}{6}", "2/3"));  // as graders of homework have it
  CHECK(answers_equal("2\\pi", "\\pi + \\pi"));
}

TEST_CASE("math_reward: no answer and an empty reference score nothing", "[rewards]") {
  CHECK(accuracy("it is 42", "42") == 0.0);
  CHECK(accuracy("", "42") == 0.0);
  CHECK(accuracy("<answer>$$</answer>", "") == 0.0);
}

TEST_CASE("math_reward: a reference in a box counts as its content", "[rewards]") {
  CHECK(accuracy("<answer>42</answer>", "\\boxed{42}") == 1.0);
}

TEST_CASE("math_reward: numbers too long to compare are equal only as texts", "[rewards]") {
  const std::string ones(100000, '1');
  CHECK(accuracy("<answer>" + ones + "</answer>", ones) == 1.0);
  CHECK(accuracy("<answer>" + ones + "</answer>", ones + ".0") == 0.0);
}

TEST_CASE("math_reward: normalisation leaves other commands alone", "[rewards]") {
  CHECK(normalized_answer("$ a \\leftarrow b $") == "a\\leftarrowb");
  CHECK(normalized_answer("\\left[0,\\,1\\right)") == "[0,1)");
  CHECK(normalized_answer("\\tfrac12\\! .") == "\\frac12");
  CHECK(normalized_answer(" . ").empty());
  CHECK(normalized_answer("\\") == "\\");
}

TEST_CASE("math_reward: equality is reflexive and symmetric on every kind of answer", "[rewards]") {
  const char* answers[] = {"42",  "42.0",  "50%",   "\\frac{1}{2}", "0.5",
                           "x+1", "x + 1", "(1,2)", "\\text{odd}",  "\\pi"};
  for (const char* x : answers) {
    CHECK(answers_equal(x, x));
    for (const char* y : answers) CHECK(answers_equal(x, y) == answers_equal(y, x));
  }
}

TEST_CASE("math_reward: sums graded by the reward are graded by their careful traces",
          "[rewards]") {
  const HabitMix careful{.careful = 1, .guess = 0, .hasty = 0, .noise = 0, .bad_format = 0};
  const HabitMix guess{.careful = 0, .guess = 1, .hasty = 0, .noise = 0, .bad_format = 0};
  const SumsTask task({.num_train = 300});
  for (const SumsProblem& sum : task.problems(Split::train)) {
    const std::string reference = sums_problem(sum).answer;
    REQUIRE(accuracy(sums_trace(sum, careful, {}), reference) == 1.0);
    REQUIRE(accuracy(sums_trace(sum, guess, {}), reference) == 0.0);
  }
}

}  // namespace
TEST_CASE("is_answer: what can be read, and what no completion could equal", "[rewards]") {
  for (const char* text : {"42", "-1.5", "\\frac{1}{2}", "x+1", "(1, 2)", "\\text{even}", "Navajo",
                           "9^{9^{9^9}}", "$5"})
    CHECK(is_answer(text));
  for (const char* text : {"", "   ", "\\frac{1}{", "((1", "x=", "\\sqrt{"})
    CHECK_FALSE(is_answer(text));
}

TEST_CASE("accuracy: a reference in a box is read as the box's content", "[rewards]") {
  const auto reward = make_accuracy_reward();
  CHECK(reward->wanted_instead_of("so \\boxed{\\frac{1}{2}}").empty());
  CHECK(reward->wanted_instead_of("7").empty());
  CHECK_FALSE(reward->wanted_instead_of("\\boxed{}").empty());
  CHECK_FALSE(reward->wanted_instead_of("\\frac{1}{").empty());
}

TEST_CASE("math_reward: a verdict says why", "[rewards]") {
  CHECK(judge_answer("1.0", "1").why == "same number");
  CHECK(judge_answer("2", "1").why == "different numbers");
  CHECK(judge_answer("312+176", "488").why == "arithmetic left to do");
  CHECK_FALSE(judge_answer("312+176", "488").equal);
  CHECK(judge_answer("312+176", "488", {.evaluated = false}).equal);
  CHECK(judge_answer("1,22", "1.22", {.equality = {.decimal_comma = true}}).equal);
}

TEST_CASE("math_reward: a reference's boxes are its answer", "[rewards]") {
  CHECK(reference_answer("so \\boxed{4}.") == "4");
  CHECK(reference_answer("\\boxed{1} and \\boxed{2}") == "1, 2");
  CHECK(reference_answer("5") == "5");
}

}  // namespace zeroth
