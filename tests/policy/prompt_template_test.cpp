#include "policy/prompt_template.h"

#include <catch2/catch.hpp>

#include "system/error.h"
#include "system/file.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

TEST_CASE("prompt_template: the question goes where the placeholder stands", "[policy]") {
  const auto prompt = PromptTemplate::from_text("User: {question}\nAssistant:", "t");
  CHECK(prompt.render("1+1?") == "User: 1+1?\nAssistant:");
  CHECK(prompt.text() == "User: {question}\nAssistant:");
}

TEST_CASE("prompt_template: a problem that has its prompt already keeps it", "[policy]") {
  const auto prompt = PromptTemplate::from_text("User: {question}", "t");
  Problem problem{.id = "1", .question = "q", .answer = "a", .solution = "", .columns_json = "{}"};
  CHECK(prompt.render(problem) == "User: q");
  problem.prompt = "<user>q";
  CHECK(prompt.render(problem) == "<user>q");
}

TEST_CASE("prompt_template: braces elsewhere and in the question are plain text", "[policy]") {
  const auto prompt = PromptTemplate::from_text("{a} {{question}} {", "t");
  CHECK(prompt.render("{question} {b}") == "{a} {{question} {b}} {");
}

TEST_CASE("prompt_template: one newline at the end of a file is not part of it", "[policy]") {
  const testing::TemporaryDirectory dir;
  const auto loaded = [&](const std::string& text) {
    write_file_atomically(dir / "t.txt", text);
    return PromptTemplate::load(dir / "t.txt").render("Q");
  };
  CHECK(loaded("{question}") == "Q");
  CHECK(loaded("{question}\n") == "Q");
  CHECK(loaded("{question}\r\n") == "Q");
  CHECK(loaded("{question}\n\n") == "Q\n");
  CHECK(PromptTemplate::from_text("{question}\n", "t").render("Q") == "Q\n");
}

TEST_CASE("prompt_template: no placeholder, two of them and bytes that are not UTF-8 are refused",
          "[policy]") {
  CHECK_THROWS_WITH(PromptTemplate::from_text("User:", "t.txt"),
                    "t.txt: {question}: expected exactly one, got none");
  CHECK_THROWS_WITH(PromptTemplate::from_text("{question}{question}", "t.txt"),
                    Catch::Contains("more than one"));
  CHECK_THROWS_WITH(PromptTemplate::from_text("ab\xff{question}", "t.txt"),
                    Catch::Contains("byte 2"));
  CHECK_THROWS_AS(PromptTemplate::load("/nonexistent/t.txt"), InputError);
}

TEST_CASE("prompt_template: the templates that come with Zeroth", "[policy]") {
  const std::filesystem::path prompts =
      std::filesystem::path(ZEROTH_SOURCE_DIR) / "tools" / "prompts";
  CHECK(PromptTemplate::load(prompts / "plain.txt").render("347+586=") == "347+586=");
  const std::string rendered = PromptTemplate::load(prompts / "r1_zero.txt").render("Why?");
  CHECK_THAT(rendered, Catch::EndsWith("User: Why?\nAssistant:"));
  for (const char* tag : {"<think>", "</think>", "<answer>", "</answer>"})
    CHECK_THAT(rendered, Catch::Contains(tag));
}

TEST_CASE("prompt_template: damaged templates render the question once or are an InputError",
          "[policy]") {
  int num_parsed = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    const std::string text = testing::mutate("Solve this.\n{question}\nAnswer: é", seed);
    try {
      const std::string rendered = PromptTemplate::from_text(text, "t").render("\x01");
      REQUIRE(rendered.size() + 9 == text.size());
      ++num_parsed;
    } catch (const InputError&) {
    }
  }
  CHECK(num_parsed > 0);
  CHECK(num_parsed < 3000);
}

}  // namespace
}  // namespace zeroth
