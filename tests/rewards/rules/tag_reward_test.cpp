#include "rewards/rules/tag_reward.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "system/error.h"
#include "tests/rewards/item_of.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("tag_reward: think_format wants one <think> at the beginning and a </think>",
          "[rewards]") {
  for (const char* completion : {"<think>a</think>b", "<think></think>", "<think>\na\n</think>\nb",
                                 "<think>a</think></think>", "<think>a<tag>b</think>c"}) {
    INFO(completion);
    CHECK(follows_think_format(completion));
  }
  for (const char* completion :
       {"", "a", "<think>a", "a</think>", " <think>a</think>", "<think>a<think>b</think>",
        "<think>a</think><think>", "</think><think>", "<Think>a</Think>"}) {
    INFO(completion);
    CHECK_FALSE(follows_think_format(completion));
  }
}

TEST_CASE("tag_reward: format_lines wants line breaks beside the tags", "[rewards]") {
  for (const char* completion : {"<think>\na\n</think>\n<answer>\nb\n</answer>",
                                 "<think>\n\n</think>\n<answer>\n\n</answer>",
                                 "<think>\na\n</think>\n<answer>\nb\n</answer>\nmore",
                                 "<think>\na\n</think>\n<answer>\nb\n</answer> c\nd\n</answer>"}) {
    INFO(completion);
    CHECK(follows_format_lines(completion));
  }
  for (const char* completion :
       {"", "<think>a</think><answer>b</answer>", "<think>\na\n</think>\n<answer>\nb</answer>",
        "<think>\na\n</think>\n\n<answer>\nb\n</answer>",
        "\n<think>\na\n</think>\n<answer>\nb\n</answer>",
        "<think>\na\n</think>\n<answer>\nb\n</answer> more",
        "<think>\n</think>\n<answer>\n</answer>", "<answer>\nb\n</answer>\n<think>\na\n</think>"}) {
    INFO(completion);
    CHECK_FALSE(follows_format_lines(completion));
  }
}

TEST_CASE("tag_reward: code_format wants a fence of its language in the answer", "[rewards]") {
  const std::string code = "<think>\na\n</think>\n<answer>\n```python\nx = 1\n```\n</answer>";
  CHECK(follows_code_format(code, "python"));
  CHECK_FALSE(follows_code_format(code, "cpp"));
  CHECK_FALSE(
      follows_code_format("<think>\n```python\n```\n</think>\n<answer>\nb\n</answer>", "python"));
  CHECK_FALSE(
      follows_code_format("<think>\na\n</think>\n<answer>\n```python\nx\n</answer>", "python"));
  CHECK_FALSE(follows_code_format("```python\nx\n```", "python"));
  CHECK(score_of("code_format", {.completion = code}) == 1.0);
  CHECK(score_of("code_format", {.completion = code}, R"({"language": "cpp"})") == 0.0);
}

TEST_CASE("tag_reward: tag_count gives a quarter for each tag that stands once", "[rewards]") {
  CHECK(tag_count("") == 0.0);
  CHECK(tag_count("<think>\na\n</think>\n<answer>\nb\n</answer>") == 1.0);
  CHECK(tag_count("<think>\n<think>\na\n</think>\n<answer>\nb\n</answer>") == 0.75);
  CHECK(tag_count("<think>a</think><answer>b</answer>") == 0.0);
  CHECK(tag_count("\n</answer>") == 0.25);
  CHECK(tag_count("<think>\na\n</think>\n") == 0.5);
}

TEST_CASE("tag_reward: tagged_text goes from the first <tag> to the last </tag>", "[rewards]") {
  CHECK(tagged_text("a<x>b</x>c", "x") == "b");
  CHECK(tagged_text("<x>a</x><x>b</x>", "x") == "a</x><x>b");
  CHECK(tagged_text("</x><x>a", "x") == std::nullopt);
  CHECK(tagged_text("<x></x>", "x") == "");
  CHECK(tagged_text("<y>a</y>", "x") == std::nullopt);
}

TEST_CASE("tag_reward: tag_pairs is 0.25 for the reasoning and 0.75 for the answer", "[rewards]") {
  CHECK(score_of("tag_pairs", {.completion = "<think>a</think> <answer>b</answer>"}) == 1.0);
  CHECK(score_of("tag_pairs", {.completion = "<think>a</think>"}) == 0.25);
  CHECK(score_of("tag_pairs", {.completion = "<answer>a</answer>"}) == 0.75);
  CHECK(score_of("tag_pairs", {.completion = "<answer>a"}) == 0.0);
  CHECK(score_of("tag_pairs", {.completion = "<t>a</t><s>b</s>"},
                 R"({"think_tag": "t", "answer_tag": "s"})") == 1.0);
}

TEST_CASE("tag_reward: boxed wants a box that closes around something", "[rewards]") {
  CHECK(score_of("boxed", {.completion = "so \\boxed{42}"}) == 1.0);
  CHECK(score_of("boxed", {.completion = "\\fbox{{a}}."}) == 1.0);
  CHECK(score_of("boxed", {.completion = "\\boxed{ }"}) == 0.0);
  CHECK(score_of("boxed", {.completion = "\\boxed{42"}) == 0.0);
  CHECK(score_of("boxed", {.completion = "42"}) == 0.0);
}

TEST_CASE("tag_reward: tags without a name or with brackets are refused", "[rewards]") {
  for (const char* tag : {"", "<a>", "/a"}) {
    const std::string parameters = R"({"answer_tag": ")" + std::string(tag) + "\"}";
    CHECK_THROWS_AS(make_reward("tag_pairs", {.parameters = parameters}), InputError);
    CHECK_THROWS_WITH(make_reward("exact_answer", {.parameters = parameters}),
                      Contains("answer_tag") && Contains("a tag's name"));
  }
}

// What open-r1's rules and TRL's have in common, on texts made of their parts: whole lines are
// worth every quarter of tag_count where no tag repeats, and code_format implies format_lines.
TEST_CASE("tag_reward: the rules hold together on random texts", "[rewards]") {
  const char* parts[] = {"<think>",
                         "</think>",
                         "<answer>",
                         "</answer>",
                         "\n",
                         "\n",
                         "a",
                         "```",
                         "```python",
                         "<think>\n",
                         "\n</think>\n<answer>\n",
                         "\n</answer>"};
  std::mt19937 random(5);
  std::size_t lines = 0, code = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string text = round % 2 == 0 ? "<think>\n" : "";
    for (auto left = random() % 9; left > 0; --left) text += parts[random() % std::size(parts)];
    INFO(text);
    const double count = tag_count(text);
    CHECK((count >= 0.0 && count <= 1.0));
    if (follows_code_format(text, "python")) {
      ++code;
      CHECK(follows_format_lines(text));
    }
    if (follows_format_lines(text)) {
      ++lines;
      CHECK(tagged_text(text, "think"));
      CHECK(tagged_text(text, "answer"));
    }
  }
  CHECK(lines > 100);
  CHECK(code > 10);
}

}  // namespace
}  // namespace zeroth
