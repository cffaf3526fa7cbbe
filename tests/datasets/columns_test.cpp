#include "datasets/columns.h"

#include <catch2/catch.hpp>

#include "system/error.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

Problem read(const char* record, std::string_view columns) {
  return problem_from_record(boost::json::parse(record).get_object(), parse_columns(columns),
                             "data.jsonl:7");
}

TEST_CASE("columns: gsm8k takes the reference after #### and writes the solution in tags",
          "[datasets]") {
  const Problem problem = read(R"({"question": "How many?", "extra": 1,
      "answer": "She has 16 - 3 = <<16-3=13>>13 left.\nThen 13 * 100 = $<<13*100=1300>>1300.\n#### 1,300"})",
                               "gsm8k");
  CHECK(problem.question == "How many?");
  CHECK(problem.answer == "1300");
  CHECK(problem.solution ==
        "<think>She has 16 - 3 = 13 left.\nThen 13 * 100 = $1300.</think> <answer>1300</answer>");
  CHECK(problem.id.empty());
  CHECK(problem.columns_json == R"({"extra":1})");
}

TEST_CASE("columns: gsm8k without #### or with nothing after it is refused", "[datasets]") {
  CHECK_THROWS_WITH(read(R"({"question": "q", "answer": "42"})", "gsm8k"),
                    Contains("data.jsonl:7: answer") && Contains("####"));
  CHECK_THROWS_WITH(read(R"({"question": "q", "answer": "42 ####  "})", "gsm8k"),
                    Contains("data.jsonl:7: answer"));
}

TEST_CASE("columns: math takes problem, answer and solution as they are", "[datasets]") {
  const Problem problem =
      read(R"({"problem": "Find $x$.", "solution": "It is $\\boxed{\\frac{1}{2}}$.",
      "answer": "\\frac{1}{2}", "level": 2, "subject": "Algebra"})",
           "math");
  CHECK(problem.question == "Find $x$.");
  CHECK(problem.answer == "\\frac{1}{2}");
  CHECK(problem.solution == "It is $\\boxed{\\frac{1}{2}}$.");
  CHECK(problem.columns_json == R"({"level":2,"subject":"Algebra"})");
}

TEST_CASE("columns: plain has an optional solution", "[datasets]") {
  CHECK(read(R"({"question": "q", "answer": "a"})", "plain").solution.empty());
  CHECK(read(R"({"question": "q", "answer": "a", "solution": null})", "plain").solution.empty());
  CHECK(read(R"({"question": "q", "answer": "a", "solution": "s"})", "plain").solution == "s");
}

TEST_CASE("columns: a conversation is the question, and stays a column for rewards", "[datasets]") {
  const Problem problem =
      read(R"({"prompt": [{"role": "user", "content": "1+1"}], "answer": 2})", "trl");
  CHECK(problem.is_conversation);
  CHECK(problem.question == R"([{"role":"user","content":"1+1"}])");
  CHECK(problem.answer == "2");
  CHECK(problem.solution.empty());
  CHECK(problem.columns_json == R"({"prompt":[{"role":"user","content":"1+1"}]})");
  const Problem text = read(R"({"prompt": "1+1", "answer": 2})", "trl");
  CHECK_FALSE(text.is_conversation);
  CHECK(text.question == "1+1");
  CHECK(text.columns_json == "{}");
}

TEST_CASE("columns: what the assistant says at a conversation's end is the solution",
          "[datasets]") {
  const char* user = R"({"role": "user", "content": "1+1"})";
  const std::string said = R"({"role": "assistant", "content": "It is 2", "tool_calls": null})";
  const std::string both = std::string(user) + "," + said;
  const Problem problem = read((R"({"messages": [)" + both + "]}").c_str(), "messages");
  CHECK(problem.question == R"([{"role":"user","content":"1+1"}])");
  CHECK(problem.solution == "It is 2");
  CHECK(problem.answer == "It is 2");  // where the record has no other
  CHECK(read((R"({"messages": [)" + both + R"(], "answer": "2"})").c_str(), "messages").answer ==
        "2");
  const std::string completion =
      R"({"prompt": [)" + std::string(user) + R"(], "completion": [)" + said + "]}";
  CHECK(read(completion.c_str(), "trl").solution == "It is 2");
  CHECK(read(R"({"prompt": "1+1", "completion": " 2"})", "trl").solution == " 2");
  CHECK(read(R"({"prompt": "1+1", "completion": " 2"})", "trl").answer == "2");
  // Of one message nothing would be left.
  const Problem alone =
      read((R"({"messages": [)" + said + R"(], "answer": "2"})").c_str(), "messages");
  CHECK(alone.solution.empty());
}

TEST_CASE("columns: what is no conversation is named by its place", "[datasets]") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"messages": ["hi"]})", "data.jsonl:7: messages[0]: expected an object with a role, got"},
      {R"({"messages": [{"content": "hi"}]})", "got an object without one"},
      {R"({"messages": []})", "data.jsonl:7: messages: expected a text"},
      {R"({"messages": [{"role": "user"}]})", "data.jsonl:7: answer"},
      {R"({"messages": {"role": "user"}})", "data.jsonl:7: messages: expected a string"},
      {R"({"messages": [{"role": "user"}, {"role": "assistant", "content": 5}]})",
       "messages[1].content: expected a string, got number"},
      {R"({"messages": [{"role": "user"}, {"role": "assistant"}]})", "messages[1].content"},
      {R"({"messages": [{"role": "user"}, {"role": "assistant", "content": "",
                                          "tool_calls": [1]}]})",
       "messages[1].tool_calls: expected nothing beside role and content"}};
  for (const auto& [record, error] : cases) {
    INFO(record);
    CHECK_THROWS_WITH(read(record, "messages"), Contains(error));
  }
  CHECK_THROWS_WITH(read(R"({"prompt": "q", "completion": []})", "trl"),
                    Contains("completion: expected a string or one message, got 0 messages"));
}

TEST_CASE("columns: a map of one's own", "[datasets]") {
  const char* record = R"({"Q": "q", "A": "so #### 4,2", "S": "s", "number": 17})";
  const Problem problem =
      read(record, "question=Q, answer=A,solution=S,id=number,reference=after_hashes");
  CHECK(problem.id == "17");
  CHECK(problem.answer == "42");
  CHECK(problem.solution == "s");
  CHECK(read(record, "question=Q,answer=A").answer == "so #### 4,2");
}

TEST_CASE("columns: numbers as answers and ids", "[datasets]") {
  CHECK(read(R"({"question": "q", "answer": -42})", "plain").answer == "-42");
  CHECK(read(R"({"question": "q", "answer": 18446744073709551615})", "plain").answer ==
        "18446744073709551615");
  CHECK(read(R"({"question": "q", "answer": 18.5})", "plain").answer == "18.5");
  CHECK_THROWS_WITH(read(R"({"question": "q", "answer": 123456789012345678901234567890})", "plain"),
                    Contains("data.jsonl:7: answer: expected a string"));
}

TEST_CASE("columns: a missing column names the nearest one", "[datasets]") {
  CHECK_THROWS_WITH(read(R"({"Question": "q", "answer": "a"})", "plain"),
                    Contains("data.jsonl:7: question") && Contains("Question"));
  CHECK_THROWS_WITH(read(R"({"q": "q", "a": "a", "s": "s"})", "question=q,answer=a,solution=t"),
                    Contains("data.jsonl:7: t"));
  CHECK_THROWS_WITH(read(R"({"question": "q", "answer": null})", "plain"), Contains("null"));
  CHECK_THROWS_AS(read("{}", "plain"), InputError);
}

TEST_CASE("columns: a column of another type says which", "[datasets]") {
  CHECK_THROWS_WITH(read(R"({"question": 5, "answer": "a"})", "plain"),
                    Contains("question: expected a string, got number"));
  CHECK_THROWS_WITH(read(R"({"question": "q", "answer": ["a"]})", "plain"),
                    Contains("answer: expected a string or a number, got array"));
  CHECK_THROWS_WITH(read(R"({"question": "q", "answer": true})", "plain"), Contains("bool"));
  CHECK_THROWS_WITH(read(R"({"question": " ", "answer": "a"})", "plain"), Contains("empty"));
}

TEST_CASE("columns: unknown presets, keys and rules name the nearest", "[datasets]") {
  CHECK_THROWS_WITH(parse_columns("gsm8"), Contains("nearest is gsm8k") && Contains("gsm8k, math"));
  CHECK_THROWS_WITH(parse_columns("question=q,awnser=a"), Contains("nearest is answer"));
  CHECK_THROWS_WITH(parse_columns("question=q,answer=a,reference=after_hash"),
                    Contains("nearest is after_hashes"));
}

TEST_CASE("columns: half a map, a key twice and an empty column are refused", "[datasets]") {
  CHECK_THROWS_AS(parse_columns("question=q"), InputError);
  CHECK_THROWS_AS(parse_columns("answer=q"), InputError);
  CHECK_THROWS_AS(parse_columns("question=q,answer=a,answer=b"), InputError);
  CHECK_THROWS_AS(parse_columns("question=q,answer="), InputError);
  CHECK_THROWS_AS(parse_columns("question=q,answer=a,"), InputError);
  CHECK_THROWS_AS(parse_columns(""), InputError);
}

TEST_CASE("columns: calculator annotations go, an unclosed one stays", "[datasets]") {
  CHECK(without_calculator_annotations("a<<1+1=2>>b<<>>c") == "abc");
  CHECK(without_calculator_annotations("1 << 2") == "1 << 2");
  CHECK(without_calculator_annotations("<<x>><<y") == "<<y");
  CHECK(without_calculator_annotations("").empty());
}

}  // namespace
}  // namespace zeroth
