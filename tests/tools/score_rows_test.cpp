#include "tools/score_rows.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "system/error.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

std::vector<ScoreRow> read(const std::string& text) {
  const testing::TemporaryDirectory directory;
  std::ofstream(directory / "rows.jsonl") << text;
  return read_score_rows((directory / "rows.jsonl").string());
}

TEST_CASE("score rows: fields, and what is there where they are not", "[tools]") {
  const auto rows = read(
      R"({"completion": "c", "answer": "a"})"
      "\n \n"
      R"({"prompt": "p", "completion": "c", "reference": "r", "columns": {"x": 1}, "num_tokens": 3,)"
      R"( "max_tokens": 4, "finish_reason": "length", "score": 0.5})"
      "\n"
      R"({"completion": "c", "answer": "a", "score": null})");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].item().reference == "a");
  CHECK(rows[0].item().prompt.empty());
  CHECK(rows[0].columns_json == R"({"completion": "c", "answer": "a"})");
  CHECK_FALSE(rows[0].expected.has_value());
  CHECK(rows[1].line == 3);
  const RewardItem item = rows[1].item();
  CHECK(item.prompt == "p");
  CHECK(item.reference == "r");
  CHECK(item.columns_json == R"({"x":1})");
  CHECK(item.num_tokens == 3);
  CHECK(item.max_tokens == 4);
  CHECK(item.finish_reason == FinishReason::length);
  CHECK(rows[1].expected->score == 0.5);
  CHECK(rows[2].expected->result == RewardResult::not_applicable);
}

TEST_CASE("score rows: conversations are their contents", "[tools]") {
  const auto rows =
      read(R"({"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],)"
           R"( "completion": [{"role": "assistant", "content": "c"}], "answer": "a"})");
  CHECK(rows.at(0).prompt == "s\nu");
  CHECK(rows[0].completion == "c");
}

TEST_CASE("score rows: what is wrong is named with its line", "[tools]") {
  CHECK_THROWS_WITH(read(""), Contains("expected a line {\"prompt\""));
  CHECK_THROWS_WITH(read("{\"completion\": \"c\", \"answer\": \"a\"}\n{\"completion\": 1}"),
                    Contains("rows.jsonl:2: completion: expected"));
  CHECK_THROWS_WITH(read(R"({"completion": "c", "answer": "a", "score": "1"})"),
                    Contains("rows.jsonl:1: score: expected"));
  CHECK_THROWS_WITH(read(R"({"completion": [{"role": "user"}], "answer": "a"})"),
                    Contains("completion[0].content"));
  CHECK_THROWS_WITH(read(R"({"completion": "c", "answer": "a", "finish_reason": "x"})"),
                    Contains("finish_reason: expected stop or length"));
}

}  // namespace
}  // namespace zeroth
