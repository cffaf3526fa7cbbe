#include "rewards/answers/answer_extraction.h"

#include <catch2/catch.hpp>

#include "datasets/random_stream.h"
#include "system/error.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

std::string found(std::string_view completion, const char* rules = "tag,boxed,hashes") {
  const auto extraction = extract_answer(completion, parse_extraction(rules));
  if (!extraction) return "none";
  return std::string(answer_rule_name(extraction->rule)) + ": " + std::string(extraction->text);
}

TEST_CASE("answer_extraction: each rule by hand", "[rewards]") {
  CHECK(found("<think>x</think> <answer> 42 </answer>") == "tag: 42");
  CHECK(found("so \\boxed{42}.") == "boxed: 42");
  CHECK(found("so \\fbox {42}.") == "boxed: 42");
  CHECK(found("work\n#### 42\nmore") == "hashes: 42");
  CHECK(found("work\nA: 42\nmore", "after=A:") == "after: 42");
  CHECK(found("the answer is 42") == "none");
  CHECK(found("") == "none");
}

TEST_CASE("answer_extraction: the order decides, a rule that finds nothing passes on",
          "[rewards]") {
  const char* both = "\\boxed{1} <answer>2</answer>";
  CHECK(found(both) == "tag: 2");
  CHECK(found(both, "boxed,tag") == "boxed: 1");
  CHECK(found("<answer>  </answer> \\boxed{3}") == "boxed: 3");
  CHECK(found("\\boxed{} #### 4") == "hashes: 4");
  CHECK(found("\\boxed{5}", "tag,hashes") == "none");
}

TEST_CASE("answer_extraction: the phrase before an answer, in any case", "[rewards]") {
  CHECK(found("So the answer is 42. Or not?", "phrase") == "phrase: 42");
  CHECK(found("The final answer is: $x+1$.\nBye", "phrase") == "phrase: $x+1$");
  CHECK(found("**Answer:** 3.5", "phrase") == "phrase: 3.5");
  CHECK(found("ANSWER: 1\nanswer: 2", "phrase") == "phrase: 2");
  CHECK(found("the answer is \\boxed{7} units.", "phrase,boxed") == "phrase: 7");
  CHECK(found("answers are hard, answer that", "phrase") == "none");
  CHECK(found("the answer is", "phrase") == "none");
  CHECK(found("**Final Answer**: \n\n 7", "phrase") == "phrase: 7");
  CHECK(found("the answers are 3 and 4", "phrase") == "phrase: 3 and 4");
  CHECK(found("the answer is 8. The answer is", "phrase") == "phrase: 8");
}

TEST_CASE("answer_extraction: with formulas looked for, a phrase gives the one it states",
          "[rewards]") {
  const char* rules = "phrase,formula";
  CHECK(found("The answer is 5 since 3+2=5.", rules) == "phrase: 5");
  CHECK(found("The answer is $5$ since $3+2=6$.", rules) == "phrase: 5");
  CHECK(found("Final Answer: The volume of $ABC$ is 120. I hope so.", rules) == "phrase: 120");
  CHECK(found("Final Answer: she began 3 hours ago, at 5.", rules) == "phrase: 3");
  CHECK(found("The answer is 2x + 3", rules) == "phrase: 2x + 3");
}

TEST_CASE("answer_extraction: boxes that one sentence joins are a list", "[rewards]") {
  CHECK(found("\\boxed{1} and \\boxed{2}") == "boxed: 1, 2");
  CHECK(found("\\boxed{1},\\boxed{2}") == "boxed: 1, 2");
  CHECK(found("$\\boxed{1}\\boxed{2}$") == "boxed: 1, 2");
  CHECK(found("$\\boxed{a} \\text{ for (a), and } \\boxed{b}$") == "boxed: a, b");
  CHECK(found("\\boxed{1} papers and \\boxed{2} bins") == "boxed: 1, 2");
  CHECK(found("\\boxed{4} and \\boxed{4}") == "boxed: 4");
  CHECK(found("Earlier \\boxed{1}, later \\boxed{2}") == "boxed: 2");
  CHECK(found("\\boxed{1} and so 3 = \\boxed{2}") == "boxed: 2");
  CHECK(found("$\\boxed{20}$ percent") == "boxed: 20\\%");
  CHECK(last_boxed("\\boxed{1} and \\boxed{2}") == "2");
}

TEST_CASE("answer_extraction: a whole text that is one answer", "[rewards]") {
  for (const char* answer : {"pi/2", "-1 + exp(16)", "$x = 3$", "28 percent", "5 cm", "East",
                             "$1$ and $2$", "[0, 1)", "3, 4"}) {
    CHECK(found(answer, "whole") == std::string("whole: ") + answer);
  }
  for (const char* prose : {"it is 5", "We find that $x < 3$", "so the number is 10", "5\n6", "",
                            "Answer: 5", "3 is the right answer here"}) {
    INFO(prose);
    CHECK(found(prose, "whole") == "none");
  }
}

TEST_CASE("answer_extraction: strict rules take the format that was asked for and nothing else",
          "[rewards]") {
  CHECK(found("<think>x</think><answer>4</answer>\n", "strict,tag") == "tag: 4");
  CHECK(found("<answer>4</answer><answer>5</answer>", "strict,tag") == "none");
  CHECK(found("<answer>4</answer> I hope", "strict,tag") == "none");
  CHECK(found("so $\\boxed{4}$.", "strict,boxed") == "boxed: 4");
  CHECK(found("\\boxed{3} or \\boxed{4}", "boxed,strict") == "none");
  CHECK(found("\\boxed{4} units", "strict,boxed") == "none");
  CHECK(found("work\n#### 4\n", "strict,hashes") == "hashes: 4");
  CHECK(found("work\n#### 4\nmore", "strict,hashes") == "none");
  CHECK(found("<answer>4</answer><answer>5</answer>\n#### 6", "strict,tag,hashes") == "hashes: 6");
  CHECK_THROWS_AS(parse_extraction("strict"), InputError);
  CHECK_THROWS_AS(parse_extraction("strict,tag,strict"), InputError);
}

TEST_CASE("answer_extraction: choices that are given", "[rewards]") {
  ExtractionConfig config = parse_extraction("choice");
  const auto chosen = [&](const char* text) {
    const auto found_choice = extract_answer(text, config);
    return found_choice ? found_choice->text : "none";
  };
  config.choices = {"U", "yes"};
  CHECK(chosen("The answer is U.") == "U");
  CHECK(chosen("The answer is A.") == "none");
  CHECK(chosen("I say yes, of course") == "yes");
  CHECK(chosen("yesterday") == "none");
}

TEST_CASE("answer_extraction: the letter of a choice", "[rewards]") {
  CHECK(found("The answer is A.", "choice") == "choice: A");
  CHECK(found("the answer is (C), not B", "choice") == "choice: C");
  CHECK(found("A. Because B is not valid", "choice") == "choice: A");
  CHECK(found("Because B is valid, I take a walk", "choice") == "choice: B");
  CHECK(found("A walk with B", "choice") == "choice: B");
  CHECK(found("A walk", "choice") == "none");
  CHECK(found("No valid answer here", "choice") == "none");
  CHECK(found("ABC x1B \\B", "choice") == "none");
}

TEST_CASE("answer_extraction: the last number", "[rewards]") {
  CHECK(found("from 3 to 1,234.50 dollars", "number") == "number: 1,234.50");
  CHECK(found("it fell to -7.", "number") == "number: -7");
  CHECK(found("10-7", "number") == "number: 7");
  CHECK(found("about 3/4, or 75%", "number") == "number: 75%");
  CHECK(found("3/4 of it", "number") == "number: 3/4");
  CHECK(found("only .5", "number") == "number: .5");
  CHECK(found("none", "number") == "none");
  CHECK(found("7 and <answer>8</answer>", "tag,number") == "tag: 8");
}

TEST_CASE("answer_extraction: a phrase said over and over costs no more than its length",
          "[rewards]") {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "answer: ";
  CHECK(found(text, "phrase,choice,number") == "none");
}

TEST_CASE("answer_extraction: the last complete pair of tags", "[rewards]") {
  CHECK(found("<answer>1</answer><answer>2</answer>") == "tag: 2");
  CHECK(found("<answer>1</answer> then <answer>2") == "tag: 1");
  CHECK(found("<answer>1 <answer>2</answer>") == "tag: 2");
  CHECK(found("</answer>1<answer>") == "none");
}

TEST_CASE("answer_extraction: a box inside a tag is the answer unless boxes are not looked for",
          "[rewards]") {
  CHECK(found("<answer>It is $\\boxed{\\frac{1}{2}}$</answer>") == "tag: \\frac{1}{2}");
  CHECK(found("<answer>\\boxed{7}</answer>", "tag") == "tag: \\boxed{7}");
}

TEST_CASE("answer_extraction: boxes nest, the last one that closes counts", "[rewards]") {
  CHECK(found("\\boxed{\\frac{1}{2}}") == "boxed: \\frac{1}{2}");
  CHECK(found("\\boxed{1}. Or \\boxed{2}") == "boxed: 2");
  CHECK(found("\\boxed{a \\boxed{b} c}") == "boxed: b");
  CHECK(found("\\boxed{1} and \\boxed{2") == "boxed: 1");
  CHECK(found("} } \\boxed{1} {{{") == "boxed: 1");
  CHECK(found("\\boxed{\\left\\{1,2\\right.}") == "boxed: \\left\\{1,2\\right.");
  CHECK(found("\\boxed{\\{1\\}}") == "boxed: \\{1\\}");
  CHECK(found("\\\\boxed{4}") == "boxed: 4");
  CHECK(found("\\boxed 4") == "none");
  CHECK(found("\\boxed") == "none");
  CHECK_FALSE(last_boxed("nothing").has_value());
  CHECK(last_boxed("\\boxed{ x }") == " x ");
}

TEST_CASE("answer_extraction: the rules of a run as text", "[rewards]") {
  const ExtractionConfig config = parse_extraction("boxed, tag ,after=The answer is, surely,");
  CHECK(config.order == std::vector{AnswerRule::boxed, AnswerRule::tag, AnswerRule::after});
  CHECK(config.prefix == "The answer is, surely,");
  CHECK_THROWS_WITH(parse_extraction("tag,box"), Contains("nearest is boxed"));
  CHECK_THROWS_AS(parse_extraction("tag,tag"), InputError);
  CHECK_THROWS_AS(parse_extraction("after="), InputError);
  CHECK_THROWS_AS(parse_extraction("after"), InputError);
  CHECK_THROWS_AS(parse_extraction(""), InputError);
}

TEST_CASE("answer_extraction: hostile texts of a megabyte take linear time", "[rewards]") {
  const auto repeated = [](std::string_view part) {
    std::string text;
    while (text.size() < (1u << 20)) text += part;
    return text;
  };
  for (const char* part : {"\\boxed{", "{", "}", "\\", "<answer>", "</answer>", "####", "\\boxed ",
                           "\\boxed{}", "\\boxed{{}", " "}) {
    const std::string text = repeated(part);
    const auto extraction = extract_answer(text, {});
    if (extraction) CHECK(extraction->text.size() < text.size());
  }
  for (const char* part : {"$", "$$ ", "\\(", "\\[", "\\begin{align}", "$1", "(1, ", "answer: ",
                           "answer is (", "1 + ", "\\boxed{1},", "-\\frac{1}", "1,", "\n\n$"}) {
    const std::string text = repeated(part);
    extract_answer(text, parse_extraction("strict,tag,boxed,whole,phrase,formula,choice"));
    extract_answer(text, parse_extraction("whole,phrase,formula,choice"));
  }
  // A quadratic search would need 10^12 steps here.
  CHECK(last_boxed(repeated("\\boxed{") + "7}") == "7");
  CHECK(found(repeated("<answer>") + "7</answer>") == "tag: 7");
}

TEST_CASE("answer_extraction: mutated completions give a part of themselves or nothing",
          "[rewards]") {
  const std::string seed_text =
      "<think>\\boxed{\\frac{1}{2}} \\{</think><answer>4</answer>\n#### 5";
  int fired[4] = {}, none = 0;
  for (std::uint64_t round = 0; round < 20000; ++round) {
    RandomStream random({.seed = 2, .index = round});
    std::string text = seed_text;
    for (std::uint64_t edits = random.next_below(12); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random.next_below(text.size());
      if (random.next_below(3) == 0) {
        text.erase(at, random.next_below(12));
      } else if (random.next_below(2) == 0) {
        text[at] = static_cast<char>(random.next_below(256));
      } else {
        text.insert(at, text.substr(random.next_below(text.size()), random.next_below(12)));
      }
    }
    const auto extraction = extract_answer(text, {});
    for (const char* rule : {"phrase", "choice", "number"}) {
      const auto other = extract_answer(text, parse_extraction(rule));
      if (!other) continue;
      REQUIRE(text.find(other->text) != std::string::npos);
    }
    if (!extraction) {
      ++none;
      continue;
    }
    ++fired[static_cast<int>(extraction->rule)];
    const bool is_list = last_boxed(text) && extraction->text.find(", ") != std::string::npos;
    REQUIRE((is_list || text.find(extraction->text) != std::string::npos));
    REQUIRE(!extraction->text.empty());
    REQUIRE(trimmed(extraction->text) == extraction->text);
  }
  CHECK(fired[0] > 100);
  CHECK(fired[1] > 100);
  CHECK(fired[2] > 100);
  CHECK(none > 10);
}

}  // namespace
}  // namespace zeroth
