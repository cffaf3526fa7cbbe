#include "rewards/rules/group_length_reward.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rewards/registry.h"

namespace zeroth {
namespace {

struct Row {
  const char* prompt;
  const char* completion;
  std::int64_t tokens;
};

// With 7 as the reference; 9 stands for an item that the reward has nothing to say about.
std::vector<double> scores_of(const std::vector<Row>& rows, const std::string& parameters = "{}") {
  std::vector<RewardItem> items;
  for (const Row& row : rows) {
    items.push_back({.prompt = row.prompt,
                     .completion = row.completion,
                     .reference = "7",
                     .num_tokens = row.tokens});
  }
  std::vector<double> scores;
  const auto reward = make_reward("length", {.parameters = parameters});
  for (const RewardOutcome& outcome : reward->judge(items, OnRewardError::stop))
    scores.push_back(outcome.result == RewardResult::scored ? outcome.score : 9);
  return scores;
}

const char* const kRight = "\\boxed{7}";
const char* const kWrong = "\\boxed{8}";

}  // namespace

TEST_CASE("length: shorter than the others of the group is better, by hand", "[rewards]") {
  CHECK(scores_of({{"q", kRight, 10}, {"q", kRight, 20}, {"q", kRight, 30}}) ==
        std::vector<double>{0.5, 0.0, -0.5});
  CHECK(scores_of({{"q", kWrong, 10}, {"q", kRight, 15}, {"q", kWrong, 30}}) ==
        std::vector<double>{0.0, 0.25, -0.5});
  CHECK(scores_of({{"q", kRight, 12}, {"q", kWrong, 12}}) == std::vector<double>{0.0, 0.0});
  CHECK(scores_of({}).empty());
}

TEST_CASE("length: a group is what stands side by side with one prompt", "[rewards]") {
  const std::vector<Row> first = {{"q", kRight, 10}, {"q", kRight, 20}};
  const std::vector<Row> second = {{"r", kRight, 100}, {"r", kWrong, 500}, {"r", kRight, 300}};
  std::vector<Row> both = first;
  both.insert(both.end(), second.begin(), second.end());
  std::vector<double> expected = scores_of(first);
  for (const double score : scores_of(second)) expected.push_back(score);
  CHECK(scores_of(both) == expected);
  // Control: with one prompt for all, the scores are others.
  for (Row& row : both) row.prompt = "q";
  CHECK(scores_of(both) != expected);
}

TEST_CASE("length: characters are code points, and a length nobody counted is none", "[rewards]") {
  const std::string characters = R"({"unit": "characters"})";
  CHECK(scores_of({{"q", "\\boxed{7}", 0}, {"q", "\\boxed{7}\u00e9\u4e2d", 0}}, characters) ==
        std::vector<double>{0.5, -0.5});
  CHECK(scores_of({{"q", "\\boxed{7}\u00e9", 0}, {"q", "\\boxed{7}e", 0}}, characters) ==
        std::vector<double>{0.0, 0.0});
  CHECK(scores_of({{"q", kRight, 10}, {"q", kRight, 0}, {"q", kRight, 20}}) ==
        std::vector<double>{0.5, 9, -0.5});
}

TEST_CASE("length: a reference that cannot be read holds nothing against an answer on request",
          "[rewards]") {
  std::vector<RewardItem> items(2, {.completion = kRight, .reference = "((1"});
  items[0].num_tokens = 1;
  items[1].num_tokens = 2;
  CHECK(make_reward("length")->score(items) == std::vector<double>{0.0, -0.5});
  CHECK(
      make_reward("length", {.parameters = R"({"unreadable_reference": "skip"})"})->score(items) ==
      std::vector<double>{0.5, -0.5});
}

}  // namespace zeroth
