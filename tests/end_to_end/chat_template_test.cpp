// zeroth chat-template as a user meets it.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/python_with_jinja.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("chat-template: every line is answered, and what is wrong with one is named",
          "[end_to_end]") {
  const std::string python = testing::python_with_jinja();
  if (python.empty()) {
    WARN("skipped: no python with jinja2 3.1.6 (tools/setup --readers)");
    return;
  }
  const TemporaryDirectory directory;
  write(directory / "tokenizer_config.json",
        R"({"bos_token": "<s>", "chat_template": "{{ bos_token }}{{ messages[0].content }}\n)"
        R"({% if messages[0].content == 'bad' %}{{ raise_exception('bad') }}{% endif %}"})");
  write(directory / "x.jinja", "{{ strftime_now('%Y') }}{{ bos_token }}");
  write(directory / "in.jsonl",
        "{\"messages\": [{\"content\": \"a\"}]}\n\n{\"messages\": 5}\nno\n"
        "{\"messages\": [{\"content\": \"bad\"}]}\n\xff\n{\"messages\": [{\"content\": \"é\"}]}\n");
  const std::string rest = " --python " + python + " < in.jsonl";
  const Outcome outcome = zeroth_command(directory, "chat-template . --jsonl" + rest);
  CHECK(outcome.exit_code == 2);
  std::istringstream lines(outcome.out);
  std::vector<boost::json::object> answers;
  for (std::string line; std::getline(lines, line);)
    answers.push_back(boost::json::parse(line).as_object());
  REQUIRE(answers.size() == 6);
  CHECK(answers[0].at("text") == "<s>a\n");
  CHECK(answers[1].at("error") ==
        "standard input:3: messages: expected a list of objects, got 5");
  CHECK(contains(answers[2].at("error").as_string().c_str(), "standard input:4: expected JSON"));
  CHECK(answers[3].at("error") ==
        "standard input:5: ./tokenizer_config.json: chat_template:2: expected a template that "
        "renders this conversation, got TemplateError: bad");
  CHECK(contains(answers[4].at("error").as_string().c_str(), "expected UTF-8, got byte 0: 0xff"));
  CHECK(answers[5].at("text") == "<s>é\n");
  CHECK(contains(outcome.err, "zeroth: standard input:3: messages"));

  write(directory / "in.jsonl", R"({"messages": [{}], "bos_token": "B"})");
  const Outcome one = zeroth_command(directory, "chat-template x.jinja --date 1999-01-02" + rest);
  CHECK(one.out == "1999B");
  CHECK(one.exit_code == 0);
  const Outcome without =
      zeroth_command(directory, "chat-template x.jinja --python /nonexistent < in.jsonl");
  CHECK(without.exit_code == 2);
  CHECK(contains(without.err, "x.jinja: chat_template: expected a Python 3 interpreter, got"));
  std::filesystem::remove(directory / "tokenizer_config.json");
  const Outcome none = zeroth_command(directory, "chat-template ." + rest);
  CHECK(none.exit_code == 2);
  CHECK(contains(none.err, "expected one in tokenizer_config.json, or chat_template.jinja"));
}

}  // namespace zeroth
