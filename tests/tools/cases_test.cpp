#include "tools/cases.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "system/error.h"
#include "system/file.h"
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
