#include "datasets/sums.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <regex>
#include <set>
#include <stdexcept>

#include "system/error.h"

namespace zeroth {
namespace {

constexpr Split kSplits[] = {Split::train, Split::calibration, Split::validation, Split::test};
constexpr HabitMix kCareful{.careful = 1, .guess = 0, .hasty = 0, .noise = 0, .bad_format = 0};
constexpr HabitMix kGuess{.careful = 0, .guess = 1, .hasty = 0, .noise = 0, .bad_format = 0};
constexpr HabitMix kHasty{.careful = 0, .guess = 0, .hasty = 1, .noise = 0, .bad_format = 0};

std::uint64_t answer_of(const std::string& trace) {
  const std::size_t begin = trace.find("<answer>") + 8;
  return std::stoull(trace.substr(begin, trace.find("</answer>") - begin));
}

TEST_CASE("sums: the counts asked for, operands of the width asked for", "[datasets]") {
  const SumsTask task({.digits = 3, .seed = 1});
  CHECK(task.problems(Split::train).size() == 40000);
  CHECK(task.problems(Split::calibration).size() == 300);
  CHECK(task.problems(Split::validation).size() == 300);
  CHECK(task.problems(Split::test).size() == 600);
  for (const Split split : kSplits) {
    for (const SumsProblem& sum : task.problems(split)) {
      REQUIRE(sum.a >= 100);
      REQUIRE(sum.a <= 999);
      REQUIRE(sum.b >= 100);
      REQUIRE(sum.b <= 999);
    }
  }
}

TEST_CASE("sums: no operand of one split occurs in another, no pair occurs twice", "[datasets]") {
  for (const std::uint64_t seed : {0, 1, 2}) {
    const SumsTask task({.digits = 3, .seed = seed});
    std::set<std::uint64_t> operands_before;
    for (const Split split : kSplits) {
      std::set<std::uint64_t> operands;
      std::set<std::pair<std::uint64_t, std::uint64_t>> pairs;
      for (const SumsProblem& sum : task.problems(split)) {
        operands.insert({sum.a, sum.b});
        pairs.insert({sum.a, sum.b});
      }
      CHECK(pairs.size() == task.problems(split).size());
      for (const std::uint64_t operand : operands) REQUIRE(operands_before.count(operand) == 0);
      operands_before.merge(operands);
    }
  }
}

TEST_CASE("sums: 600 test problems come from 60 reserved operands", "[datasets]") {
  std::set<std::uint64_t> operands;
  const SumsTask task({.seed = 4});
  for (const SumsProblem& sum : task.problems(Split::test)) {
    operands.insert({sum.a, sum.b});
  }
  CHECK(operands.size() == 60);
}

TEST_CASE("sums: the seed decides the problems", "[datasets]") {
  const SumsTask one({.seed = 1}), same({.seed = 1}), other({.seed = 2});
  CHECK(one.problems(Split::test) == same.problems(Split::test));
  CHECK(one.problems(Split::test) != other.problems(Split::test));
}

TEST_CASE("sums: widths from one to nine digits", "[datasets]") {
  const SumsConfig few{.num_train = 20, .num_calibration = 0, .num_validation = 0, .num_test = 1};
  for (int digits = 1; digits <= 9; ++digits) {
    SumsConfig config = few;
    config.digits = digits;
    const SumsTask task(config);
    CHECK(task.problems(Split::train).size() == 20);
    for (const SumsProblem& sum : task.problems(Split::train)) {
      REQUIRE(std::to_string(sum.a).size() == static_cast<std::size_t>(digits));
      REQUIRE(std::to_string(sum.b).size() == static_cast<std::size_t>(digits));
    }
  }
}

TEST_CASE("sums: counts that the width cannot give are refused", "[datasets]") {
  CHECK_THROWS_AS(SumsTask({.digits = 0}), InputError);
  CHECK_THROWS_AS(SumsTask({.digits = 10}), InputError);
  CHECK_THROWS_AS(SumsTask({.digits = 2}), InputError);  // 90 operands, 146 to reserve
  CHECK_THROWS_AS(SumsTask({.digits = 3, .num_train = 600000}), InputError);
  CHECK_THROWS_AS(SumsTask({.digits = 3, .num_test = ~std::uint64_t{0}}), InputError);
}

TEST_CASE("sums: a problem's question and answer", "[datasets]") {
  const Problem problem = sums_problem({.a = 347, .b = 586});
  CHECK(problem.id == "347+586");
  CHECK(problem.question == "347+586=");
  CHECK(problem.answer == "933");
}

TEST_CASE("sums: careful traces by hand, with and without a last carry", "[datasets]") {
  CHECK(sums_trace({.a = 347, .b = 586}, kCareful, {}) ==
        "<think>7+6+0=13;4+8+1=13;3+5+1=09;</think><answer>933</answer>");
  CHECK(sums_trace({.a = 947, .b = 586}, kCareful, {}) ==
        "<think>7+6+0=13;4+8+1=13;9+5+1=15;</think><answer>1533</answer>");
  CHECK(sums_trace({.a = 5, .b = 5}, kCareful, {}) ==
        "<think>5+5+0=10;</think><answer>10</answer>");
}

TEST_CASE("sums: careful traces without noise are always right", "[datasets]") {
  const SumsTask task({.seed = 3});
  for (const SumsProblem& sum : task.problems(Split::test)) {
    REQUIRE(answer_of(sums_trace(sum, kCareful, {.seed = 1})) == sum.a + sum.b);
  }
}

TEST_CASE("sums: a noisy step is off by one and the rest follows from its digits", "[datasets]") {
  HabitMix noisy = kCareful;
  noisy.noise = 1.0;
  for (std::uint64_t i = 0; i < 500; ++i) {
    const std::string trace = sums_trace({.a = 347, .b = 586}, noisy, {.index = i});
    int carry = 0;
    std::string answer;
    const int columns[3][2] = {{7, 6}, {4, 8}, {3, 5}};
    for (std::size_t step = 0; step < 3; ++step) {
      const std::string text = trace.substr(7 + 9 * step, 9);  // "7+6+0=13;"
      REQUIRE(text[4] == '0' + carry);
      const int result = 10 * (text[6] - '0') + (text[7] - '0');
      REQUIRE(std::abs(result - (columns[step][0] + columns[step][1] + carry)) == 1);
      carry = result / 10;
      answer.insert(0, 1, text[7]);
    }
    if (carry != 0) answer.insert(0, std::to_string(carry));
    REQUIRE(trace.ends_with("<answer>" + answer + "</answer>"));
  }
}

TEST_CASE("sums: noise strikes about as often as asked", "[datasets]") {
  HabitMix noisy = kCareful;
  noisy.noise = 0.01;
  int wrong = 0;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    wrong += answer_of(sums_trace({.a = 347, .b = 586}, noisy, {.index = i})) != 933 ? 1 : 0;
  }
  CHECK(std::abs(wrong - 594) < 120);  // 1 - 0.99^3 of 20000, five standard deviations
}

TEST_CASE("sums: guesses are near and never right", "[datasets]") {
  std::set<std::uint64_t> answers;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const std::string trace = sums_trace({.a = 347, .b = 586}, kGuess, {.index = i});
    REQUIRE(trace.starts_with("<think>?</think><answer>"));
    const std::uint64_t answer = answer_of(trace);
    REQUIRE(answer != 933);
    REQUIRE(answer >= 833);
    REQUIRE(answer <= 1033);
    answers.insert(answer);
  }
  CHECK(answers.size() == 200);
  for (std::uint64_t i = 0; i < 100; ++i) {
    REQUIRE(answer_of(sums_trace({.a = 1, .b = 1}, kGuess, {.index = i})) != 2);
  }
}

TEST_CASE("sums: hasty traces forget every carry", "[datasets]") {
  CHECK(sums_trace({.a = 347, .b = 586}, kHasty, {}) ==
        "<think>3+5?4+8?7+6?</think><answer>823</answer>");
  CHECK(sums_trace({.a = 555, .b = 555}, kHasty, {}) ==
        "<think>5+5?5+5?5+5?</think><answer>000</answer>");
}

TEST_CASE("sums: broken traces miss exactly one tag, each of the four at times", "[datasets]") {
  HabitMix broken = kCareful;
  broken.bad_format = 1.0;
  const std::string whole = sums_trace({.a = 347, .b = 586}, kCareful, {});
  std::set<std::string> missing;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::string trace = sums_trace({.a = 347, .b = 586}, broken, {.index = i});
    for (const std::string tag : {"<think>", "</think>", "<answer>", "</answer>"}) {
      std::string without = whole;
      without.erase(without.find(tag), tag.size());
      if (trace == without) missing.insert(tag);
    }
  }
  CHECK(missing.size() == 4);
}

TEST_CASE("sums: the mix decides how often each habit occurs, weights in any scale", "[datasets]") {
  const HabitMix mix{.careful = 2, .guess = 4, .hasty = 4, .noise = 0.01, .bad_format = 0.1};
  const std::regex careful("([0-9][+][0-9][+][0-9]=[0-9][0-9];){3}");
  int num_careful = 0, num_guess = 0, num_hasty = 0, num_broken = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    const std::string trace = sums_trace({.a = 347, .b = 586}, mix, {.seed = 8, .index = i});
    const bool hasty = trace.find("3+5?4+8?7+6?") != std::string::npos;
    num_hasty += hasty ? 1 : 0;
    num_careful += std::regex_search(trace, careful) ? 1 : 0;
    num_guess += !hasty && trace.find('?') != std::string::npos ? 1 : 0;
    for (const char* tag : {"<think>", "</think>", "<answer>", "</answer>"}) {
      num_broken += trace.find(tag) == std::string::npos ? 1 : 0;
    }
  }
  CHECK(num_careful + num_guess + num_hasty == 10000);
  CHECK(std::abs(num_careful - 2000) < 200);
  CHECK(std::abs(num_guess - 4000) < 250);
  CHECK(std::abs(num_hasty - 4000) < 250);
  CHECK(std::abs(num_broken - 1000) < 150);
}

TEST_CASE("sums: the same key gives the same trace, another key another", "[datasets]") {
  const SumsProblem sum{.a = 347, .b = 586};
  CHECK(sums_trace(sum, kGuess, {.seed = 1, .index = 2}) ==
        sums_trace(sum, kGuess, {.seed = 1, .index = 2}));
  std::set<std::string> traces;
  for (std::uint64_t i = 0; i < 100; ++i) traces.insert(sums_trace(sum, kGuess, {.index = i}));
  CHECK(traces.size() > 50);
}

TEST_CASE("sums: mixes that make no sense are refused", "[datasets]") {
  const SumsProblem sum{.a = 347, .b = 586};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(sums_trace(sum, {.careful = 0, .guess = 0, .hasty = 0}, {}),
                  std::invalid_argument);
  CHECK_THROWS_AS(sums_trace(sum, {.careful = -1}, {}), std::invalid_argument);
  CHECK_THROWS_AS(sums_trace(sum, {.careful = nan}, {}), std::invalid_argument);
  CHECK_THROWS_AS(sums_trace(sum, {.noise = 2}, {}), std::invalid_argument);
  CHECK_THROWS_AS(sums_trace({.a = 12, .b = 345}, {}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
