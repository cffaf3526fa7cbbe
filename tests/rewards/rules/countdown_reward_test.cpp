#include "rewards/rules/countdown_reward.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>

#include "rewards/math/arithmetic.h"
#include "system/error.h"
#include "tests/rewards/item_of.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

bool solves(std::string_view answer, std::string target, std::vector<std::string> numbers,
            bool allow_subset = false) {
  return solves_countdown(answer, {.target = std::move(target), .numbers = std::move(numbers)},
                          allow_subset);
}

TEST_CASE("countdown_reward: each number once, and the target reached", "[rewards]") {
  CHECK(solves("(44 - 19) + 35", "60", {"19", "44", "35"}));
  CHECK(solves("6 * 4", "24", {"4", "6"}));
  CHECK_FALSE(solves("6 * 4", "25", {"4", "6"}));
  CHECK_FALSE(solves("6 * 4", "24", {"4", "6", "1"}));
  CHECK_FALSE(solves("6 * 4", "24", {"6"}));
  CHECK_FALSE(solves("6 + 6 + 6 + 6", "24", {"6", "4"}));
  CHECK_FALSE(solves("24", "24", {"6", "4"}));
  CHECK(solves("6 * 2 + 6 * 2", "24", {"6", "6", "2", "2"}));
  CHECK_FALSE(solves("6 * 2 + 6 * 2", "24", {"6", "6", "2"}));
}

TEST_CASE("countdown_reward: with allow_subset numbers may be left over", "[rewards]") {
  CHECK(solves("6 * 4", "24", {"4", "6", "1"}, true));
  CHECK_FALSE(solves("6 * 2 * 2", "24", {"6", "2"}, true));
  CHECK_FALSE(solves("12 * 2", "24", {"6", "2", "4"}, true));
}

TEST_CASE("countdown_reward: values are exact fractions", "[rewards]") {
  CHECK(solves("8 / (3 - 8 / 3)", "24", {"3", "3", "8", "8"}));
  CHECK(solves("1 / 3 * 3", "1", {"1", "3", "3"}));
  CHECK_FALSE(solves("1 / 3", "0.3333333333333333", {"1", "3"}));
  CHECK_FALSE(solves("6 / 4", "1", {"6", "4"}));  // no whole division
  CHECK(solves("6 / 4", "3/2", {"6", "4"}));
}

TEST_CASE("countdown_reward: spellings of the four operations", "[rewards]") {
  for (const char* answer : {"3*8", "8*3", "(3)*(8)", "3 \u00d7 8", "3 \\times 8", "3 \\cdot 8",
                             "$3 * 8$", "\\(3 \\times 8\\)", "3(8)", "(3)(8)", "3*8.", "-3*-8",
                             "-(3)*(-8)", "3*8 = 24", "3*8=24.", "3*8 = 48/2"}) {
    INFO(answer);
    CHECK(solves(answer, "24", {"3", "8"}));
  }
  for (const char* answer : {"8/3", "8 \u00f7 3", "8 \\div 3", "\\frac{8}{3}", "\\dfrac{8}{3}"}) {
    INFO(answer);
    CHECK(solves(answer, "8/3", {"3", "8"}));
  }
  CHECK(solves("3 \u2212 8", "-5", {"3", "8"}));
}

TEST_CASE("countdown_reward: what is no arithmetic earns nothing", "[rewards]") {
  for (const char* answer : {"",
                             "3 8",
                             "3 1/8",
                             "3 x 8",
                             "3^8",
                             "3**8",
                             "3!",
                             "8%3",
                             "3*8 = 25",
                             "24 = 3*8",
                             "x = 3*8",
                             "3*8 = x",
                             "3*8 apples",
                             "3*8 # 24",
                             "the answer is 3*8",
                             "3*(8",
                             "3*8)",
                             "(3, 8)",
                             "3:8",
                             "3*8; 24",
                             "3*8 or 24",
                             "\\sqrt{3}*8",
                             "[1]*24",
                             "__import__('os')",
                             "3e8",
                             "3*8 < 25",
                             "44**(19**(35**9))"}) {
    INFO(answer);
    CHECK_FALSE(solves(answer, "24", {"3", "8"}));
  }
}

TEST_CASE("countdown_reward: a division by zero has no value", "[rewards]") {
  for (const char* answer : {"4 / (2 - 2)", "4 / 0", "0 * (4 / 0)", "0 / 0"}) {
    const auto arithmetic = math::read_arithmetic(answer);
    REQUIRE(arithmetic);
    CHECK_FALSE(arithmetic->value);
  }
  CHECK_FALSE(solves("4 / (2 - 2)", "", {"4", "2", "2"}));
  CHECK_FALSE(math::read_arithmetic("4 / (2 - 2) = 0"));
}

// A random expression over all numbers beside the value that plain fractions give it.
struct Grown {
  std::string text;
  std::int64_t above, below;  // below is 0 where it is not defined
};

Grown grow(std::span<const std::int64_t> numbers, std::mt19937& random) {
  if (numbers.size() == 1) return {std::to_string(numbers[0]), numbers[0], 1};
  const std::size_t cut = 1 + random() % (numbers.size() - 1);
  const Grown a = grow(numbers.first(cut), random), b = grow(numbers.subspan(cut), random);
  const auto joined = [&](const char* sign, std::int64_t above, std::int64_t below) {
    const bool defined = a.below != 0 && b.below != 0;
    const std::int64_t factor = defined && below != 0 ? std::gcd(above, below) : 1;
    return Grown{"(" + a.text + sign + b.text + ")", above / factor, defined ? below / factor : 0};
  };
  switch (random() % 4) {
    case 0:
      return joined(" + ", a.above * b.below + b.above * a.below, a.below * b.below);
    case 1:
      return joined("-", a.above * b.below - b.above * a.below, a.below * b.below);
    case 2:
      return joined(" * ", a.above * b.above, a.below * b.below);
    default:
      return joined("/", a.above * b.below, a.below * b.above);
  }
}

TEST_CASE("countdown_reward: random expressions solve their own value and no other", "[rewards]") {
  std::mt19937 random(11);
  std::size_t undefined = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::int64_t> numbers(2 + random() % 4);
    for (std::int64_t& number : numbers) number = random() % 13;
    std::vector<std::string> given;
    for (const std::int64_t number : numbers) given.push_back(std::to_string(number));
    std::shuffle(given.begin(), given.end(), random);
    const Grown grown = grow(numbers, random);
    INFO(grown.text);
    if (grown.below == 0) {
      ++undefined;
      CHECK_FALSE(solves(grown.text, "0", given));
      continue;
    }
    const auto target =
        math::lowest_terms(std::to_string(grown.above) + "/" + std::to_string(grown.below));
    REQUIRE(target);
    CHECK(solves(grown.text, *target, given));
    CHECK(solves(grown.text, *target, given, true));
    CHECK_FALSE(solves(grown.text + "+1", *target, given));
    CHECK_FALSE(solves(grown.text, *target + "1", given));
    given[0] += "0";
    if (given[0] != "00") CHECK_FALSE(solves(grown.text, *target, given));
  }
  CHECK(undefined > 50);
}

TEST_CASE("countdown_reward: hostile answers are soon no arithmetic", "[rewards]") {
  std::string nines(100000, '9'), parentheses, fraction = "1", sum = "1", product = "9";
  for (int i = 0; i < 100000; ++i) parentheses += i % 2 == 0 ? '(' : '-';
  for (int i = 0; i < 300; ++i) fraction = "1/(1+" + fraction + ")";
  for (int i = 0; i < 2000; ++i) sum += "+1", product += "*9";
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string& answer :
       {nines, "9^" + nines, parentheses, fraction, sum, product, nines.substr(0, 4000) + "/7",
        std::string("9**9**9**9**9**9**9**9"), std::string("44**(19**(35**9))"),
        std::string(2000000, '-') + "1"}) {
    CHECK_FALSE(solves(answer, "24", {"3", "8"}));
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

double played(std::string_view completion, std::string_view columns, std::string_view reference,
              std::string_view parameters = "{}") {
  return score_of("countdown",
                  {.completion = completion, .reference = reference, .columns_json = columns},
                  parameters);
}

TEST_CASE("countdown_reward: the game stands in columns or in the reference", "[rewards]") {
  const char* answer = "<answer>3 * 8</answer>";
  CHECK(played(answer, R"({"target": 24, "nums": [3, 8]})", "") == 1.0);
  CHECK(played(answer, R"({"nums": [8, 3]})", "24") == 1.0);
  CHECK(played(answer, R"({"nums": ["8", "3.0"]})", "24.0") == 1.0);
  CHECK(played(answer, "", R"({"target": 24, "numbers": [3, 8]})") == 1.0);
  CHECK(played(answer, "{}", R"({"target": 24, "nums": [3, 8]})") == 1.0);
  CHECK(played(answer, R"({"nums": [8, 3]})", R"({"target": 24})") == 1.0);
  CHECK(played(answer, R"({"goal": 24, "given": [3, 8]})", "",
               R"({"target_column": "goal", "numbers_column": "given"})") == 1.0);
  CHECK(played(answer, R"({"target": 25, "nums": [3, 8]})", "24") == 0.0);
}

TEST_CASE("countdown_reward: the answer is the one that answer_rules find", "[rewards]") {
  const char* columns = R"({"target": 24, "nums": [3, 8]})";
  CHECK(played("so 3 * 8", columns, "") == 0.0);
  CHECK(played("3 + 8 <answer> 3 * 8 = 24 </answer>", columns, "") == 1.0);
  CHECK(played("\\boxed{3 \\times 8}", columns, "") == 1.0);
  CHECK(played("<answer>3 + 8</answer>", columns, "", R"({"format_score": 0.1})") == 0.1);
  CHECK(played("3 * 8", columns, "", R"({"format_score": 0.1})") == 0.0);
}

TEST_CASE("countdown_reward: an item without a game is a failure, before the run where it can be",
          "[rewards]") {
  const auto reward = make_reward("countdown");
  for (const auto& [columns, reference] : std::vector<std::pair<const char*, const char*>>{
           {"", ""},
           {"", "24"},
           {R"({"nums": [3, 8]})", "many"},
           {R"({"nums": [], "target": 24})", ""},
           {R"({"nums": "3, 8", "target": 24})", ""},
           {R"({"nums": [3, "x"], "target": 24})", ""},
           {R"({"nums": [3, null], "target": 24})", ""},
           {R"({"nums": [3, 8], "target": true})", ""},
           {R"({"nums": [3, 8], "target": 1e999})", ""}}) {
    INFO(columns << " and " << reference);
    const RewardItem item{.completion = "a", .reference = reference, .columns_json = columns};
    CHECK(reward->judge({&item, 1}, OnRewardError::exclude).at(0).result == RewardResult::raised);
    CHECK_THROWS_AS(reward->score({&item, 1}), RewardError);
    CHECK_THROWS_AS(reward->try_on({&item, 1}), InputError);
  }
  const RewardItem item{.completion = "a", .reference = "24"};
  CHECK_THROWS_WITH(reward->try_on({&item, 1}), Contains("nums") && Contains("list of numbers"));
}

TEST_CASE("countdown_reward: a reference that is an object has to be a game", "[rewards]") {
  const auto reward = make_reward("countdown");
  for (const char* reference : {"24", "", "3*8", R"({"target": 24, "numbers": [3, 8]})"})
    CHECK(reward->wanted_instead_of(reference).empty());
  for (const char* reference : {"{", R"({"target": 24})", R"({"numbers": [3, 8]})"})
    CHECK_THAT(reward->wanted_instead_of(reference), Contains("target"));
}

TEST_CASE("countdown_reward: a format_score above a solution's is refused", "[rewards]") {
  CHECK_THROWS_AS(make_reward("countdown", {.parameters = R"({"format_score": 1.5})"}), InputError);
  CHECK_THROWS_AS(make_reward("countdown", {.parameters = R"({"format_score": -0.1})"}),
                  InputError);
}

}  // namespace
}  // namespace zeroth
