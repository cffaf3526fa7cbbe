#include "rewards/rules/json_schema.h"

#include <catch2/catch.hpp>
#include <string>

#include "system/error.h"

namespace zeroth {
namespace {

bool matches(const std::string& value, const std::string& schema) {
  const JsonReader rules = JsonReader::parse(schema, "schema");
  check_json_schema(rules);
  return matches_json_schema(JsonReader::parse(value, "value").value(), rules.value());
}

TEST_CASE("json_schema: types", "[rewards]") {
  const std::pair<const char*, const char*> values[] = {
      {"array", "[1]"},  {"boolean", "true"}, {"integer", "3"},   {"null", "null"},
      {"number", "2.5"}, {"object", "{}"},    {"string", "\"a\""}};
  for (const auto& [type, own] : values) {
    for (const auto& [other, value] : values) {
      INFO(type << " and " << value);
      const bool is_number = std::string_view(type) == "number" && std::string_view(value) == "3";
      CHECK(matches(value, R"({"type": ")" + std::string(type) + "\"}") ==
            (std::string_view(type) == other || is_number));
    }
    CHECK(matches(own, "{}"));
  }
  CHECK(matches("3.0", R"({"type": "integer"})"));
  CHECK_FALSE(matches("3.5", R"({"type": "integer"})"));
  CHECK(matches("18446744073709551615", R"({"type": "integer"})"));
  CHECK(matches("null", R"({"type": ["string", "null"]})"));
  CHECK_FALSE(matches("1", R"({"type": ["string", "null"]})"));
}

TEST_CASE("json_schema: enum compares whole values", "[rewards]") {
  const char* schema = R"({"enum": ["a", 1, null, {"x": [1, 2]}]})";
  for (const char* value : {"\"a\"", "1", "1.0", "null", R"({"x": [1.0, 2]})"})
    CHECK(matches(value, schema));
  for (const char* value :
       {"\"b\"", "2", "true", "[]", R"({"x": [2, 1]})", R"({"x": [1, 2], "y": 0})"})
    CHECK_FALSE(matches(value, schema));
}

TEST_CASE("json_schema: members of objects", "[rewards]") {
  const std::string schema = R"({"type": "object", "required": ["city"], "properties": {
      "city": {"type": "string"}, "days": {"type": "integer"}}, "additionalProperties": )";
  CHECK(matches(R"({"city": "Bern", "days": 3})", schema + "false}"));
  CHECK(matches(R"({"city": "Bern"})", schema + "false}"));
  CHECK_FALSE(matches(R"({"days": 3})", schema + "false}"));
  CHECK_FALSE(matches(R"({"city": 3})", schema + "false}"));
  CHECK_FALSE(matches(R"({"city": "Bern", "unit": "C"})", schema + "false}"));
  CHECK(matches(R"({"city": "Bern", "unit": "C"})", schema + "true}"));
  CHECK(matches(R"({"city": "Bern", "unit": "C"})", schema + R"({"type": "string"}})"));
  CHECK_FALSE(matches(R"({"city": "Bern", "unit": 1})", schema + R"({"type": "string"}})"));
  CHECK(matches("1", R"({"required": ["city"]})"));  // asks nothing of what is no object
}

TEST_CASE("json_schema: elements of arrays", "[rewards]") {
  const char* schema = R"({"items": {"type": "array", "items": {"type": "integer"}}})";
  CHECK(matches("[[1, 2], []]", schema));
  CHECK_FALSE(matches("[[1, \"2\"]]", schema));
  CHECK_FALSE(matches("[1]", schema));
  CHECK(matches("{}", schema));
}

TEST_CASE("json_schema: what is beyond the part is refused by name", "[rewards]") {
  for (const auto& [schema, part] : std::vector<std::pair<const char*, const char*>>{
           {R"({"minimum": 1})", "minimum"},
           {R"({"properties": {"a": {"pattern": "x"}}})", "properties.a.pattern"},
           {R"({"items": {"$ref": "#"}})", "items.$ref"},
           {R"({"additionalProperties": {"anyOf": []}})", "additionalProperties.anyOf"},
           {R"({"type": "text"})", "one of array, boolean"},
           {R"({"type": 3})", "type"},
           {R"({"required": "city"})", "required"},
           {R"({"required": [1]})", "required[0]"},
           {R"({"enum": 1})", "enum"},
           {R"({"properties": []})", "properties"},
           {"[]", "an object"},
           {"true", "an object"}}) {
    INFO(schema);
    const JsonReader rules = JsonReader::parse(schema, "schema");
    CHECK_THROWS_AS(check_json_schema(rules), InputError);
    CHECK_THROWS_WITH(check_json_schema(rules), Catch::Matchers::Contains(part));
  }
  CHECK(matches("1", R"({"title": "t", "description": "d", "default": 2, "examples": [3]})"));
}

}  // namespace
}  // namespace zeroth
