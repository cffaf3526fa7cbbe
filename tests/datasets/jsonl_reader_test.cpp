#include "datasets/jsonl_reader.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "datasets/random_stream.h"
#include "system/error.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

std::vector<Problem> read(const std::string& text, std::string_view columns = "plain",
                          JsonlLimits limits = {}) {
  std::istringstream in(text);
  JsonlReader reader(in, "folder/data.jsonl", parse_columns(columns), limits);
  std::vector<Problem> problems;
  while (auto problem = reader.next()) problems.push_back(std::move(*problem));
  return problems;
}

const std::string kFirst = R"({"question": "one", "answer": "1"})";
const std::string kSecond = R"({"question": "two", "answer": "2"})";

TEST_CASE("jsonl_reader: two records, ids from the file's name and the lines", "[datasets]") {
  const auto problems = read(kFirst + "\n" + kSecond + "\n");
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].question == "one");
  CHECK(problems[0].id == "data.jsonl:1");
  CHECK(problems[1].answer == "2");
  CHECK(problems[1].id == "data.jsonl:2");
}

TEST_CASE("jsonl_reader: byte order mark, CRLF, blank lines and no last newline", "[datasets]") {
  const auto problems = read("\xEF\xBB\xBF" + kFirst + "\r\n\r\n  \t\n" + kSecond);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].question == "one");
  CHECK(problems[1].id == "data.jsonl:4");
}

TEST_CASE("jsonl_reader: lines longer than the read buffer and texts with escapes", "[datasets]") {
  const std::string question(200000, 'x');
  const auto problems = read(R"({"question": ")" + question +
                             R"(", "answer": "\u00e9\n\ud83d\ude00"})" + "\n" + kSecond);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].question == question);
  CHECK(problems[0].answer == "\xC3\xA9\n\xF0\x9F\x98\x80");
  CHECK(problems[1].question == "two");
}

TEST_CASE("jsonl_reader: broken JSON names the line", "[datasets]") {
  for (const char* broken :
       {"{\"question\": \"two\"", "{\"question\" \"two\"}", "{} {}", "{}x", "nul",
        "{'question': 1}", "{\"a\": 1,}", "\"", "{\"a\": \"\\ud800\"}"}) {
    INFO(broken);
    CHECK_THROWS_WITH(read(kFirst + "\n\n" + broken + "\n" + kSecond),
                      Contains("folder/data.jsonl:3: ") && Contains("broken JSON at column"));
  }
}

TEST_CASE("jsonl_reader: a record that is no object", "[datasets]") {
  CHECK_THROWS_WITH(read("[1, 2]"), Contains("data.jsonl:1: ") && Contains("got array"));
  CHECK_THROWS_WITH(read("42"), Contains("a JSON object"));
}

TEST_CASE("jsonl_reader: nesting deeper than any data set's is refused", "[datasets]") {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  CHECK_THROWS_AS(read(R"({"question": "q", "answer": "a", "x": )" + deep + "}"), InputError);
}

TEST_CASE("jsonl_reader: bytes that are not UTF-8", "[datasets]") {
  for (const char* bytes : {"\xFF", "\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80",
                            "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80"}) {
    CHECK_THROWS_WITH(read(kFirst + "\n{\"question\": \"" + bytes + "\", \"answer\": \"a\"}"),
                      Contains("data.jsonl:2: expected UTF-8, got another byte at column 15"));
  }
}

TEST_CASE("jsonl_reader: a line over the limit", "[datasets]") {
  CHECK(read(kFirst, "plain", {.max_line_bytes = kFirst.size()}).size() == 1);
  CHECK_THROWS_WITH(read("\n" + kFirst, "plain", {.max_line_bytes = kFirst.size() - 1}),
                    Contains("data.jsonl:2: ") && Contains("at most 33 bytes"));
}

TEST_CASE("jsonl_reader: an id seen before", "[datasets]") {
  const std::string record = R"({"question": "q", "answer": "a", "id": "x"})";
  CHECK_THROWS_WITH(read(record + "\n" + record, "question=question,answer=answer,id=id"),
                    Contains("data.jsonl:2: id") && Contains("x, the id of line 1"));
}

TEST_CASE("jsonl_reader: empty files", "[datasets]") {
  for (const char* text : {"", "\n", "\xEF\xBB\xBF", " \r\n \n"}) {
    CHECK_THROWS_WITH(read(text),
                      Contains("folder/data.jsonl: ") && Contains("at least one record"));
  }
}

TEST_CASE("jsonl_reader: files that cannot be read", "[datasets]") {
  CHECK_THROWS_WITH(read_problems("/no/such/file.jsonl", parse_columns("plain")),
                    Contains("/no/such/file.jsonl") && Contains("No such file"));
  CHECK_THROWS_WITH(read_problems("/", parse_columns("plain")), Contains("folder"));
}

TEST_CASE("jsonl_reader: a stream that fails midway is an error, not an end", "[datasets]") {
  struct FailingBuffer : std::streambuf {
    std::streamsize xsgetn(char*, std::streamsize) override { throw 1; }
  } buffer;
  std::istream in(&buffer);
  JsonlReader reader(in, "data.jsonl", parse_columns("plain"));
  CHECK_THROWS_WITH(reader.next(), Contains("read error"));
}

TEST_CASE("jsonl_reader: mutated files are read or refused with InputError", "[datasets]") {
  const std::string seed_text =
      kFirst + "\n" + R"({"question": "\u00e9 \ud83d\ude00", "answer": 1.5e3, "x": [{}, null]})" +
      "\r\n" + "{\"question\": \"\xC3\xA9\", \"answer\": \"a #### 1,2\"}\n";
  int parsed = 0, refused = 0;
  for (std::uint64_t round = 0; round < 20000; ++round) {
    RandomStream random({.seed = 1, .index = round});
    std::string text = seed_text;
    for (std::uint64_t edits = 1 + random.next_below(4); edits > 0; --edits) {
      const std::size_t at = random.next_below(text.size());
      switch (random.next_below(4)) {
        case 0:
          text[at] = static_cast<char>(random.next_below(256));
          break;
        case 1:
          text.erase(at, 1 + random.next_below(20));
          break;
        case 2:
          text.insert(at, 1, "{}[]\",:\\\n\r#<>"[random.next_below(13)]);
          break;
        default:
          text.insert(at, text.substr(random.next_below(text.size()), random.next_below(30)));
      }
      if (text.empty()) text = " ";
    }
    try {
      read(text, round % 2 == 0 ? "plain" : "gsm8k", {.max_line_bytes = 200});
      ++parsed;
    } catch (const InputError& error) {
      ++refused;
      REQUIRE(error.parts().source.starts_with("folder/data.jsonl"));
    }
  }
  CHECK(parsed > 100);
  CHECK(refused > 100);
}

std::string data_file(const char* name) {
  const char* folder = std::getenv("ZEROTH_DATA");
  if (folder == nullptr) return "";
  const std::string path = std::string(folder) + "/" + name;
  return std::filesystem::exists(path) ? path : "";
}

TEST_CASE("jsonl_reader: GSM8K's test problems all parse", "[datasets][fixtures]") {
  const std::string path = data_file("gsm8k_test.jsonl");
  if (path.empty()) {
    WARN("skipped: ZEROTH_DATA has no gsm8k_test.jsonl");
    return;
  }
  const auto problems = read_problems(path, parse_columns("gsm8k"));
  CHECK(problems.size() == 1319);
  CHECK(problems[0].answer == "18");
  for (const Problem& problem : problems) {
    REQUIRE(problem.answer.find_first_not_of("-0123456789.") == std::string::npos);
    REQUIRE(problem.solution.starts_with("<think>"));
    REQUIRE(problem.solution.ends_with("</think> <answer>" + problem.answer + "</answer>"));
    REQUIRE(problem.solution.find("<<") == std::string::npos);
  }
}

TEST_CASE("jsonl_reader: MATH-500's problems all parse", "[datasets][fixtures]") {
  const std::string path = data_file("math500.jsonl");
  if (path.empty()) {
    WARN("skipped: ZEROTH_DATA has no math500.jsonl");
    return;
  }
  CHECK(read_problems(path, parse_columns("math")).size() == 500);
  CHECK(read_problems(path, parse_columns("question=problem,answer=answer,id=unique_id"))[0].id ==
        "test/precalculus/807.json");
}

}  // namespace
}  // namespace zeroth
