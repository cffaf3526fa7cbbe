#include "rewards/reward_parameters.h"

#include <catch2/catch.hpp>

#include "system/error.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;

struct Everything {
  bool strict = true;
  std::int64_t size = 3;
  double penalty = -1.0;
  std::string language = "en";
  std::vector<std::string> delimiters = {"</think>"};
  boost::json::value schema = nullptr;
};

template <class Visitor>
void visit_fields(Visitor& v, Everything& c) {
  v("strict", c.strict, "a truth");
  v("size", c.size, "a count");
  v("penalty", c.penalty, "a number");
  v("language", c.language, "a word", {"en", "zh"});
  v("delimiters", c.delimiters, "texts");
  v("schema", c.schema, "anything");
}

Everything read(std::string_view json) {
  return read_parameters<Everything>("rule", json);
}

TEST_CASE("reward parameters: what is not set keeps its default, as does what is null",
          "[rewards]") {
  for (const char* json : {"{}", R"({"size": null, "language": null})"}) {
    const Everything c = read(json);
    CHECK(c.strict);
    CHECK(c.size == 3);
    CHECK(c.penalty == -1.0);
    CHECK(c.language == "en");
    CHECK(c.delimiters == std::vector<std::string>{"</think>"});
    CHECK(c.schema.is_null());
  }
}

TEST_CASE("reward parameters: every type is read", "[rewards]") {
  const Everything c = read(R"({"strict": false, "size": 4, "penalty": -2, "language": "zh",
                                "delimiters": ["a", "b"], "schema": {"x": [1]}})");
  CHECK_FALSE(c.strict);
  CHECK(c.size == 4);
  CHECK(c.penalty == -2.0);
  CHECK(c.language == "zh");
  CHECK(c.delimiters == std::vector<std::string>{"a", "b"});
  CHECK(write_json(c.schema) == R"({"x":[1]})");
}

TEST_CASE("reward parameters: what is mistyped or unknown is refused with its path", "[rewards]") {
  const std::pair<const char*, const char*> rows[] = {
      {R"({"size": 4.5})", "reward_config: rule.size: expected an integer, got 4.5"},
      {R"({"strict": 1})", "reward_config: rule.strict: expected true or false, got 1"},
      {R"({"penalty": 1e999})", "rule.penalty: expected a finite number"},
      {R"({"penalty": "-1"})", "rule.penalty: expected a finite number"},
      {R"({"language": "fr"})", "rule.language: expected one of en, zh, got \"fr\""},
      {R"({"delimiters": "a"})", "rule.delimiters: expected an array"},
      {R"({"delimiters": [1]})", "rule.delimiters[0]: expected a string"},
      {R"({"pennalty": -1})",
       "reward_config: rule: expected only strict, size, penalty, language, delimiters, schema; "
       "nearest is penalty, got pennalty"},
      {"[]", "reward_config: rule: expected an object of parameters"},
  };
  for (const auto& [json, message] : rows) {
    INFO(json);
    CHECK_THROWS_AS(read(json), InputError);
    CHECK_THROWS_WITH(read(json), Contains(message));
  }
  CHECK_THROWS_WITH(read_parameters<NoParameters>("format", R"({"strict": true})"),
                    Contains("reward_config: format: expected no parameters, got strict"));
}

TEST_CASE("reward parameters: the list has the defaults as JSON and reads back", "[rewards]") {
  const std::vector<RewardParameter> list = list_parameters<Everything>();
  REQUIRE(list.size() == 6);
  CHECK(list[2].key == "penalty");
  CHECK(list[2].default_json == "-1.0");
  CHECK(list[2].help == "a number");
  std::string json;
  for (const RewardParameter& parameter : list)
    json += (json.empty() ? "{\"" : ",\"") + parameter.key + "\":" + parameter.default_json;
  CHECK(read(json + "}").delimiters == Everything{}.delimiters);
  CHECK(list_parameters<NoParameters>().empty());
}

TEST_CASE("reward parameters: what is out of range is refused with what it is", "[rewards]") {
  CHECK_NOTHROW(require_parameter(true, "rule", "size", "at least 1", std::int64_t{1}));
  CHECK_THROWS_WITH(require_parameter(false, "rule", "size", "at least 1", std::int64_t{0}),
                    "reward_config: rule.size: expected at least 1, got 0");
  CHECK_THROWS_WITH(require_parameter(false, "rule", "penalty", "at most 0", 0.5),
                    "reward_config: rule.penalty: expected at most 0, got 0.5");
}

}  // namespace
}  // namespace zeroth
