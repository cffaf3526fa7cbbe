#include "rewards/rules/text_reward.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <set>
#include <string>

#include "system/error.h"
#include "tests/rewards/item_of.h"

namespace zeroth {
namespace {

constexpr const char* kWords = R"({"unit": "words", "ngram_size": 2})";

double penalty_of_words(std::string_view completion, std::string_view parameters = kWords) {
  return score_of("repetition_penalty", {.completion = completion}, parameters);
}

// 1 - different / all, by counting.
TEST_CASE("text_reward: repetition_penalty of words by hand", "[rewards]") {
  CHECK(penalty_of_words("a b c d") == 0.0);
  CHECK(penalty_of_words("a a a a a") == Approx(-0.75));     // 1 of 4
  CHECK(penalty_of_words("a b A  B\na b") == Approx(-0.6));  // 2 of 5
  CHECK(penalty_of_words("a") == 0.0);
  CHECK(penalty_of_words("") == 0.0);
  CHECK(penalty_of_words("a a a a a", R"({"unit": "words", "ngram_size": 2, "max_penalty": -2})") ==
        Approx(-1.5));
}

TEST_CASE("text_reward: repetition_penalty of tokens looks at no text", "[rewards]") {
  const std::int32_t ids[] = {1, 2, 3, 1, 2, 3};
  CHECK(score_of("repetition_penalty", {.completion = "x", .completion_ids = ids}) ==
        Approx(-0.25));  // 123 231 312 123
  CHECK_FALSE(applies("repetition_penalty", {.completion = "x y z"}));
  CHECK(score_of("repetition_penalty", {.completion = ""}) == 0.0);
}

// The slow way: every n-gram in a set.
std::size_t counted_slowly(const std::vector<std::uint32_t>& units, std::size_t n) {
  std::set<std::vector<std::uint32_t>> grams;
  for (std::size_t i = 0; i + n <= units.size(); ++i)
    grams.emplace(units.begin() + static_cast<std::ptrdiff_t>(i),
                  units.begin() + static_cast<std::ptrdiff_t>(i + n));
  return grams.size();
}

TEST_CASE("text_reward: different n-grams are counted as a set counts them", "[rewards]") {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::uint32_t> units(1 + random() % 40);
    for (std::uint32_t& unit : units) unit = static_cast<std::uint32_t>(random() % 3);
    const std::size_t n = 1 + random() % units.size();
    INFO(n << " of " << units.size());
    CHECK(count_different_ngrams(units, n) == counted_slowly(units, n));
  }
}

TEST_CASE("text_reward: a large n costs hardly more than a small one", "[rewards]") {
  std::vector<std::uint32_t> units(200000);
  for (std::size_t i = 0; i < units.size(); ++i) units[i] = static_cast<std::uint32_t>(i % 7);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(count_different_ngrams(units, 100000) == 7);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
}

TEST_CASE("text_reward: a penalty that would reward is refused", "[rewards]") {
  CHECK_THROWS_AS(make_reward("repetition_penalty", {.parameters = R"({"max_penalty": 0.5})"}),
                  InputError);
  CHECK_THROWS_AS(make_reward("repetition_penalty", {.parameters = R"({"ngram_size": 0})"}),
                  InputError);
  CHECK_THROWS_AS(make_reward("repetition_penalty", {.parameters = R"({"unit": "letters"})"}),
                  InputError);
}

TEST_CASE("text_reward: marks of steps are counted, three are enough", "[rewards]") {
  CHECK(count_reasoning_steps("Step 1: a\nStep 22: b") == 2);
  CHECK(count_reasoning_steps("1. a\n2. b") == 1);  // a number counts at the very beginning alone
  CHECK(count_reasoning_steps("a\n- b\n* c\n-d") == 3);
  CHECK(count_reasoning_steps("- a") == 0);
  CHECK(count_reasoning_steps("First, a. Second, b. Next, c. Finally, d.") == 4);
  CHECK(count_reasoning_steps("first, Step : Step 1 Third,") == 0);
  CHECK(count_reasoning_steps("") == 0);
  CHECK(score_of("reasoning_steps", {.completion = "First, a"}) == Approx(1.0 / 3));
  CHECK(score_of("reasoning_steps", {.completion = "First, Second, Next, Finally,"}) == 1.0);
}

double language(std::string_view completion, std::string_view parameters = "{}") {
  return score_of("language", {.completion = completion}, parameters);
}

TEST_CASE("text_reward: language is the share of letters of a script", "[rewards]") {
  CHECK(language("only latin letters, 123!") == 1.0);
  CHECK(language("\u4e2d\u6587") == 0.0);
  CHECK(language("ab\u4e2d\u6587") == 0.5);
  CHECK(language("ab\u4e2d\u6587", R"({"scripts": ["han"]})") == 0.5);
  CHECK(language("\u65e5\u672c\u306e\u30ab", R"({"scripts": ["han", "hiragana", "katakana"]})") ==
        1.0);
  CHECK(language("123 + 4") == 1.0);
  CHECK(language("") == 1.0);
}

TEST_CASE("text_reward: mathematics, commands and tags are no language", "[rewards]") {
  const char* han = R"({"scripts": ["han"]})";
  for (const char* markup :
       {"$x + y$", "$$x$$", "\\(x\\)", "\\[x\\]", "\\frac", "<think>", "</answer>"}) {
    INFO(markup);
    CHECK(language("\u4e2d" + std::string(markup) + "\u6587", han) == 1.0);
  }
  CHECK(language("\u4e2d<b c>", han) < 1.0);  // no tag of a name alone
  CHECK(language("\u4e2d$a", han) < 1.0);     // closes nowhere
}

TEST_CASE("text_reward: a script that is not there is refused with the nearest", "[rewards]") {
  CHECK_THROWS_WITH(make_reward("language", {.parameters = R"({"scripts": ["latn"]})"}),
                    Catch::Matchers::Contains("nearest is latin"));
  CHECK_THROWS_AS(make_reward("language", {.parameters = R"({"scripts": []})"}), InputError);
}

// A megabyte of what makes scanners go back and forth.
TEST_CASE("text_reward: hostile texts cost what their length costs", "[rewards]") {
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string part :
       {"$", "$$a", "\\(", "\\[", "<", "<a", "\xff", "```", "Step 1", "\n"}) {
    std::string text;
    while (text.size() < 1000000) text += part;
    for (const char* name : {"language", "reasoning_steps", "repetition_penalty", "boxed",
                             "code_format", "format_lines", "think_format", "tag_count"}) {
      const std::string parameters = name == std::string("repetition_penalty") ? kWords : "{}";
      CHECK(std::abs(score_of(name, {.completion = text}, parameters)) <= 1.0);
    }
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60));
}

}  // namespace
}  // namespace zeroth
