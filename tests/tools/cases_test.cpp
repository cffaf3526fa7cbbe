#include "tools/cases.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using State = GradedCase::State;

std::vector<GradedCase> graded(const std::string& lines) {
  const testing::TemporaryDirectory directory;
  write_file_atomically(directory.path() / "rows.jsonl", lines);
  return grade_file(directory.path() / "rows.jsonl");
}

TEST_CASE("cases: every row of a file is accounted for", "[tools][cases]") {
  const auto cases = graded(
      "{\"id\":\"a\",\"mode\":\"answer-vs-answer\",\"gold\":\"1/"
      "2\",\"pred\":\"0.5\",\"expected\":true}\n"
      "\n"
      "{\"id\":\"b\",\"mode\":\"answer-vs-answer\",\"gold\":\"1\",\"pred\":\"2\",\"expected\":true}"
      "\n"
      "{\"id\":\"c\",\"mode\":\"answer-vs-answer\",\"gold\":\"1\",\"pred\":\"1\",\"expected\":null}"
      "\n"
      "{\"id\":\"d\",\"mode\":\"by telepathy\"}\n"
      "{\"id\":\"e\",\"mode\":\"answer-vs-answer\",\"gold\":\"1\"}\n"
      "not JSON\n"
      "{\"id\":\"g\",\"mode\":\"answer-vs-answer\",\"gold\":\"2\",\"pred\":\"2\",\"expected\":"
      "false,"
      "\"disputed\":\"who knows\"}\n"
      "{\"id\":\"h\",\"mode\":\"answer-vs-answer\",\"gold\":\"2\",\"pred\":\"2\",\"expected\":"
      "false}");
  REQUIRE(cases.size() == 8);
  CHECK(cases[3].state == State::not_understood);
  CHECK(cases[3].result.mode == "by telepathy");
  CHECK(cases[4].state == State::broken);
  CHECK(cases[4].result.why.find("pred") != std::string::npos);
  CHECK(cases[4].where.ends_with("rows.jsonl:6"));
  CHECK(cases[5].state == State::broken);
  CaseTally tally;
  for (const GradedCase& one : cases) tally.add(one);
  CHECK(tally.rows == 8);
  CHECK(tally.labelled == 3);
  CHECK(tally.agree == 1);
  CHECK(tally.false_negatives == 1);
  CHECK(tally.false_positives == 1);
  CHECK(tally.unlabelled == 1);
  CHECK(tally.disputed == 1);
  CHECK(tally.disputed_agree == 0);
  CHECK(tally.not_understood == 1);
  CHECK(tally.broken == 2);
}

TEST_CASE("cases: a row's line says verdict, label and reason", "[tools][cases]") {
  const auto cases = graded(
      "{\"id\":\"a\",\"mode\":\"answer-vs-answer\",\"gold\":\"1/"
      "2\",\"pred\":\"0.5\",\"expected\":true}\n"
      "{\"id\":\"b\",\"mode\":\"extract-last-boxed\",\"text\":\"no box\",\"expected_out\":null}\n"
      "{\"id\":\"c\",\"mode\":\"answer-vs-answer\",\"gold\":\"1\",\"pred\":\"1\",\"expected\":null}"
      "\n");
  const auto verdict = boost::json::parse(case_json(cases.at(0))).as_object();
  CHECK(verdict.at("id") == "a");
  CHECK(verdict.at("verdict") == true);
  CHECK(verdict.at("expected") == true);
  CHECK(verdict.at("ok") == true);
  CHECK(verdict.at("why").as_string().size() > 0);
  CHECK(verdict.at("micros").is_number());
  const auto extraction = boost::json::parse(case_json(cases.at(1))).as_object();
  CHECK(extraction.at("got").is_null());
  CHECK(extraction.at("ok") == true);  // nothing is what was expected
  CHECK(boost::json::parse(case_json(cases.at(2))).as_object().at("ok").is_null());
}

// Whether each row is right, in order: 1 and 0.
std::string rightness(const std::string& lines) {
  std::string result;
  for (const GradedCase& one : graded(lines)) {
    INFO(one.where << ": " << one.result.why);
    REQUIRE(one.state == State::graded);
    result += one.result.ok.value_or(false) ? '1' : '0';
  }
  return result;
}

std::string verdict_row(const char* mode, const char* gold, const char* pred, bool expected,
                        const char* options = "{}") {
  return write_json(boost::json::object{{"mode", mode},
                                        {"gold", gold},
                                        {"pred", pred},
                                        {"expected", expected},
                                        {"options", boost::json::parse(options)}}) +
         "\n";
}

TEST_CASE("cases: options of a row decide where the answer is looked for", "[tools][cases]") {
  const auto text = [](const char* pred, bool expected, const char* options) {
    return rightness(verdict_row("text-vs-answer", "42", pred, expected, options));
  };
  CHECK(text("it is 42", true, "{}") == "1");
  CHECK(text("it is 42", false, "{}") == "0");  // a label that is wrong shows
  CHECK(text("it is 42", false, R"({"require_boxed": true})") == "1");
  CHECK(text("\\boxed{42}", true, R"({"require_boxed": true})") == "1");
  CHECK(text("just 42", false, R"({"require_answer_marker": true})") == "1");
  CHECK(text("Answer: 42", true, R"({"require_answer_marker": true})") == "1");
  CHECK(text("The answer is 42", false, R"({"answer_tag": "answer"})") == "1");
  CHECK(text("<answer>42</answer>", true, R"({"answer_tag": "answer"})") == "1");
  CHECK(text("so\nA: 42", true, R"({"answer_prefix": "A:"})") == "1");
  CHECK(text("so 42\nA: 41", false, R"({"answer_prefix": "A:"})") == "1");
  CHECK(rightness(verdict_row("text-vs-text", "$7$", "it is 7", false,
                              R"({"extract": ["latex"]})")) == "1");
  CHECK(rightness(verdict_row("text-vs-text", "$7$", "it is 7", true,
                              R"({"extract": ["latex", "expr"]})")) == "1");
}

TEST_CASE("cases: options of a row decide what is the same", "[tools][cases]") {
  const auto pair = [](const char* gold, const char* pred, bool expected, const char* options) {
    return rightness(verdict_row("answer-vs-answer", gold, pred, expected, options));
  };
  CHECK(pair("1, 2", "2, 1", true, "{}") == "1");
  CHECK(pair("1, 2", "2, 1", false, R"({"order_matters": true})") == "1");
  CHECK(pair("1/3", "0.33", false, R"({"float_rounding": 6})") == "1");
  CHECK(pair("1/3", "0.33", true, R"({"float_rounding": 2})") == "1");
  CHECK(pair("f(x)", "f(y)", true, R"({"strict": false})") == "1");
  CHECK(pair("[0,1]", "0 \\le x \\le 1", false, R"({"allow_set_relation_comp": false})") == "1");
  CHECK(graded(verdict_row("answer-vs-answer", "1", "1", true, R"({"float_rounding": -1})"))
            .front()
            .state == State::broken);
}

TEST_CASE("cases: letters, numbers of LaTeX and cases meant to hang", "[tools][cases]") {
  const auto letter = [](const char* text, const char* config, const char* expected) {
    return rightness(
        write_json(boost::json::object{{"mode", "extract-letter"},
                                       {"text", text},
                                       {"config", config},
                                       {"expected_out", boost::json::parse(expected)}}));
  };
  CHECK(letter("The answer is U.", "StringExtractionConfig(strings=('U',))", R"(["u", "U"])") ==
        "1");
  CHECK(letter("The answer is U.", "StringExtractionConfig()", "[]") == "1");
  CHECK(letter("A. It is", "StringExtractionConfig(lowercase=False)", R"(["A", "A"])") == "1");
  CHECK(letter("A. It is", "StringExtractionConfig(lowercase=False)", R"(["a", "A"])") == "0");
  CHECK(rightness(R"({"latex":"\\frac{x}{2}","value":"1.50000000000000","subs":{"x":"3"}})") ==
        "1");
  CHECK(rightness(R"({"latex":"\\frac{x}{2}","value":"1.60000000000000","subs":{"x":"3"}})") ==
        "0");
  CHECK(rightness(R"({"gold":"\\boxed{7}","pred":"\\boxed{9^{9^{9}}}","must":"return"})") == "1");
}

TEST_CASE("cases: a directory is read with what lies below it, in order", "[tools][cases]") {
  const testing::TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() / "b");
  for (const char* name : {"c.jsonl", "b/a.jsonl", "a.jsonl", "notes.txt"}) {
    write_file_atomically(directory.path() / name, "");
  }
  const auto files = case_files(directory.path());
  REQUIRE(files.size() == 3);
  CHECK(files[0] == directory.path() / "a.jsonl");
  CHECK(files[1] == directory.path() / "b/a.jsonl");
  CHECK(files[2] == directory.path() / "c.jsonl");
  std::filesystem::create_directories(directory.path() / "empty");
  CHECK_THROWS_AS(case_files(directory.path() / "empty"), InputError);
  CHECK_THROWS_AS(grade_file(directory.path() / "absent.jsonl"), InputError);
}

}  // namespace
}  // namespace zeroth
