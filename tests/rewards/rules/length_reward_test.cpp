#include "rewards/rules/length_reward.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "system/error.h"
#include "tests/rewards/item_of.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

RewardItem of_length(std::int64_t tokens, std::int64_t maximum = 0) {
  return {.completion = "a", .num_tokens = tokens, .max_tokens = maximum};
}

// DAPO, eq. 13, with L = 100 and C = 20.
TEST_CASE("length_reward: soft_overlong is 0, a slope and -1", "[rewards]") {
  const std::string parameters = R"({"max_completion_len": 100, "soft_punish_cache": 20})";
  for (const auto& [tokens, expected] : std::vector<std::pair<std::int64_t, double>>{
           {1, 0.0}, {80, 0.0}, {81, -0.05}, {90, -0.5}, {100, -1.0}, {101, -1.0}, {9999, -1.0}}) {
    INFO(tokens);
    CHECK(score_of("soft_overlong", of_length(tokens), parameters) == Approx(expected));
  }
}

TEST_CASE("length_reward: soft_overlong takes the run's maximum and a fifth of it", "[rewards]") {
  CHECK(score_of("soft_overlong", of_length(80, 100)) == 0.0);
  CHECK(score_of("soft_overlong", of_length(90, 100)) == Approx(-0.5));
  CHECK_FALSE(applies("soft_overlong", of_length(90)));
  CHECK_FALSE(applies("soft_overlong", {.completion = "a"}, R"({"max_completion_len": 100})"));
}

TEST_CASE("length_reward: without a cache soft_overlong is a step", "[rewards]") {
  const std::string parameters = R"({"max_completion_len": 10, "soft_punish_cache": 0})";
  CHECK(score_of("soft_overlong", of_length(10), parameters) == 0.0);
  CHECK(score_of("soft_overlong", of_length(11), parameters) == -1.0);
}

TEST_CASE("length_reward: soft_overlong never rises with the length", "[rewards]") {
  double last = 0.0;
  for (std::int64_t tokens = 1; tokens <= 130; ++tokens) {
    const double score = score_of("soft_overlong", of_length(tokens, 100));
    CHECK(score <= last);
    CHECK(score >= -1.0);
    last = score;
  }
  CHECK(last == -1.0);
}

RewardItem answer_of_length(bool right, std::int64_t tokens) {
  return {.completion = right ? "\\boxed{4}" : "\\boxed{5}",
          .reference = "4",
          .num_tokens = tokens,
          .max_tokens = 100};
}

// At 0, half and all of the length the cosine is 1, 0 and -1.
TEST_CASE("length_reward: cosine_length by hand", "[rewards]") {
  CHECK(score_of("cosine_length", answer_of_length(true, 0)) == Approx(1.0));
  CHECK(score_of("cosine_length", answer_of_length(true, 50)) == Approx(0.75));
  CHECK(score_of("cosine_length", answer_of_length(true, 100)) == Approx(0.5));
  CHECK(score_of("cosine_length", answer_of_length(false, 0)) == Approx(-1.0));
  CHECK(score_of("cosine_length", answer_of_length(false, 50)) == Approx(-0.75));
  CHECK(score_of("cosine_length", answer_of_length(false, 100)) == Approx(-0.5));
}

TEST_CASE("length_reward: beyond max_len cosine_length stays, or rises again", "[rewards]") {
  CHECK(score_of("cosine_length", answer_of_length(true, 200)) == Approx(0.5));
  CHECK(score_of("cosine_length", answer_of_length(true, 200), R"({"clamp": false})") ==
        Approx(1.0));
}

TEST_CASE("length_reward: cosine_length can count characters", "[rewards]") {
  const std::string parameters = R"({"unit": "characters", "max_len": 20})";
  CHECK(score_of("cosine_length", {.completion = "\\boxed{4} \u00e9\u00e9", .reference = "4"},
                 parameters) == Approx(0.5 + 0.25 * (1 + std::cos(12.0 / 20 * 3.14159265358979))));
  CHECK_FALSE(applies("cosine_length", {.completion = "\\boxed{4}", .reference = "4"}));
}

TEST_CASE("length_reward: longer is worse where the answer is right and better where it is wrong",
          "[rewards]") {
  for (std::int64_t tokens = 1; tokens <= 100; ++tokens) {
    CHECK(score_of("cosine_length", answer_of_length(true, tokens)) <
          score_of("cosine_length", answer_of_length(true, tokens - 1)));
    CHECK(score_of("cosine_length", answer_of_length(false, tokens)) >
          score_of("cosine_length", answer_of_length(false, tokens - 1)));
  }
}

TEST_CASE("length_reward: cosine_length asks for a reference that can be read, or skips it",
          "[rewards]") {
  CHECK_FALSE(make_reward("cosine_length")->wanted_instead_of("\\frac{").empty());
  const std::string skip = R"({"unreadable_reference": "skip"})";
  CHECK(make_reward("cosine_length", {.parameters = skip})->wanted_instead_of("\\frac{").empty());
  RewardItem item = answer_of_length(true, 10);
  item.reference = "\\frac{";
  CHECK_FALSE(applies("cosine_length", item, skip));
}

TEST_CASE("length_reward: parameters out of range are refused", "[rewards]") {
  for (const auto& [name, parameters] : std::vector<std::pair<const char*, const char*>>{
           {"soft_overlong", R"({"max_completion_len": -1})"},
           {"soft_overlong", R"({"soft_punish_cache": -2})"},
           {"cosine_length", R"({"max_len": -5})"},
           {"cosine_length", R"({"unit": "words"})"},
           {"cosine_length", R"({"max_value_correct": "high"})"}}) {
    INFO(parameters);
    CHECK_THROWS_AS(make_reward(name, {.parameters = parameters}), InputError);
  }
}

}  // namespace
}  // namespace zeroth
