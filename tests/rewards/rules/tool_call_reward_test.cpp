#include "rewards/rules/tool_call_reward.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "system/error.h"
#include "tests/rewards/item_of.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

const std::string kTools = R"({"tools": [
    {"type": "function", "function": {"name": "weather", "description": "of a city", "parameters": {
      "type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
      "required": ["city"], "additionalProperties": false}}},
    {"name": "now"}]})";

double called(const std::string& completion, std::string_view parameters = kTools) {
  return score_of("tool_call", {.completion = completion}, parameters);
}

std::string call(const std::string& text) {
  return "<tool_call>" + text + "</tool_call>";
}

TEST_CASE("tool_call_reward: calls that match the description", "[rewards]") {
  const std::string right = R"({"name": "weather", "arguments": {"city": "Bern"}})";
  CHECK(called(call(right)) == 1.0);
  CHECK(called("I ask. " + call("\n" + right + "\n") + " Then:\n" +
               call(R"({"name": "now", "arguments": {"any": [1]}})")) == 1.0);
  CHECK(called(call(R"({"arguments": {"unit": "F", "city": "x"}, "name": "weather"})")) == 1.0);
}

TEST_CASE("tool_call_reward: calls that do not", "[rewards]") {
  for (const char* text :
       {"", "weather(Bern)", "[]", "{}", R"({"name": "weather"})", R"({"arguments": {}})",
        R"({"name": "weather", "arguments": {}})",
        R"({"name": "weather", "arguments": {"city": 1}})",
        R"({"name": "weather", "arguments": {"city": "Bern", "unit": "K"}})",
        R"({"name": "weather", "arguments": {"city": "Bern", "day": 1}})",
        R"({"name": "weather", "arguments": "{\"city\": \"Bern\"}"})",
        R"({"name": "whether", "arguments": {"city": "Bern"}})", R"({"name": 1, "arguments": {}})",
        R"({"name": "now", "arguments": []})", R"({"name": "now", "arguments": {}, "id": 1})",
        R"({"name": "now", "arguments": {}} x)", R"({'name': 'now', 'arguments': {}})",
        R"({"name": "now", "arguments": {},})",
        "{\"name\": \"now\", \"arguments\": {\"a\": \"\xff\"}}"}) {
    INFO(text);
    CHECK(called(call(text)) == 0.0);
  }
}

TEST_CASE("tool_call_reward: one wrong call or tag is enough", "[rewards]") {
  const std::string right = call(R"({"name": "now", "arguments": {}})");
  CHECK(called(right + right) == 1.0);
  CHECK(called(right + call("{}")) == 0.0);
  CHECK(called(right + "<tool_call>") == 0.0);
  CHECK(called(right + "</tool_call>") == 0.0);
  CHECK(called("</tool_call>" + right) == 0.0);
  CHECK(called("<tool_call>" + right) == 0.0);
  CHECK(called("no call") == 0.0);
  CHECK(called(R"({"name": "now", "arguments": {}})") == 0.0);
}

TEST_CASE("tool_call_reward: another tag, none, and no tools", "[rewards]") {
  const std::string now = R"({"name": "now", "arguments": {}})";
  CHECK(called("<call>" + now + "</call>", R"({"tag": "call"})") == 1.0);
  CHECK(called(call(now), R"({"tag": "call"})") == 0.0);
  CHECK(called(" " + now + "\n", R"({"tag": ""})") == 1.0);
  CHECK(called("Sure: " + now, R"({"tag": ""})") == 0.0);
  CHECK(called(call(R"({"name": "any", "arguments": {"x": 1}})"), "{}") == 1.0);
  CHECK(called(call(R"({"name": "", "arguments": {"x": 1}})"), "{}") == 0.0);
}

TEST_CASE("tool_call_reward: descriptions that are none are refused", "[rewards]") {
  for (const auto& [parameters, part] : std::vector<std::pair<const char*, const char*>>{
           {R"({"tools": {}})", "an array"},
           {R"({"tools": [1]})", "an object"},
           {R"({"tools": [{"parameters": {}}]})", "name"},
           {R"({"tools": [{"name": ""}]})", "name"},
           {R"({"tools": [{"name": "a"}, {"name": "a"}]})", "[1]"},
           {R"({"tools": [{"name": "a", "parameters": {"minimum": 1}}]})", "minimum"},
           {R"({"tools": [{"name": "a", "parameters": {"enum": [1e999]}}]})", "tool_call.tools"},
           {R"({"tools": [{"type": "function", "function": {"name": "a", "parameters": 1}}]})",
            "[0].function.parameters"},
           {R"({"tag": "<a>"})", "tag"}}) {
    INFO(parameters);
    CHECK_THROWS_AS(make_reward("tool_call", {.parameters = parameters}), InputError);
    CHECK_THROWS_WITH(make_reward("tool_call", {.parameters = parameters}), Contains(part));
  }
}

TEST_CASE("tool_call_reward: hostile calls are soon refused", "[rewards]") {
  std::string deep, many;
  for (int i = 0; i < 200000; ++i) deep += R"({"a":)", many += "<tool_call></tool_call>";
  std::string calls;
  for (int i = 0; i < 20000; ++i) calls += call(R"({"name": "now", "arguments": {}})");
  const auto begin = std::chrono::steady_clock::now();
  CHECK(called(call(deep)) == 0.0);
  CHECK(called(many) == 0.0);
  CHECK(called(call(R"({"name": "now", "arguments": )" + std::string(1000000, '[') + "}")) == 0.0);
  CHECK(called(call(std::string(4000000, '\n') + "x")) == 0.0);
  CHECK(called(calls) == 1.0);
  CHECK(called(calls + "<tool_call>") == 0.0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
}

}  // namespace
}  // namespace zeroth
