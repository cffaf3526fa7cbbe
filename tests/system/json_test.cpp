#include "system/json.h"

#include <bit>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "system/error.h"
#include "tests/support/mutate.h"

namespace zeroth {
namespace {

constexpr const char* kText = R"({"n": 7, "x": 0.5, "yes": true, "name": "tiny", "none": null,
  "list": [1, {"deep": -3}], "big": 18446744073709551615})";

JsonReader reader() {
  return JsonReader::parse(kText, "a.json");
}

TEST_CASE("JsonReader: typed getters, children and elements", "[system]") {
  const JsonReader json = reader();
  CHECK(json.get_int64("n") == 7);
  CHECK(json.get_double("x") == 0.5);
  CHECK(json.get_double("n") == 7.0);
  CHECK(json.get_bool("yes"));
  CHECK(json.get_string("name") == "tiny");
  CHECK(json.child("list").elements().at(1).get_int64("deep") == -3);
  CHECK(json.keys().front() == "n");
}

TEST_CASE("JsonReader: null counts as absent for defaults and for has", "[system]") {
  const JsonReader json = reader();
  CHECK(json.get_int64("none", 4) == 4);
  CHECK(json.get_int64("absent", 5) == 5);
  CHECK(json.get_string("none", "x") == "x");
  CHECK_FALSE(json.has("none"));
  CHECK(json.contains("none"));
  CHECK_FALSE(json.contains("absent"));
}

TEST_CASE("JsonReader: errors name source, path, expected and actual", "[system]") {
  const JsonReader json = reader();
  CHECK_THROWS_WITH(json.get_int64("x"), "a.json: x: expected an integer, got 0.5");
  CHECK_THROWS_WITH(json.get_int64("absent"), "a.json: absent: expected an integer, got nothing");
  CHECK_THROWS_WITH(json.get_int64("name", 3), "a.json: name: expected an integer, got \"tiny\"");
  CHECK_THROWS_WITH(json.get_int64("big"),
                    "a.json: big: expected an integer, got 18446744073709551615");
  CHECK_THROWS_WITH(json.child("list").elements()[1].get_bool("deep"),
                    "a.json: list[1].deep: expected true or false, got -3");
  CHECK_THROWS_WITH(json.child("n").get_bool("k"), "a.json: n: expected an object, got 7");
  CHECK_THROWS_AS(json.child("n").elements(), InputError);
}

TEST_CASE("JsonReader: a child outlives the reader it came from", "[system]") {
  const JsonReader child = reader().child("list");
  CHECK(child.elements().size() == 2);
}

TEST_CASE("JsonReader: a syntax error names line and byte", "[system]") {
  CHECK_THROWS_WITH(JsonReader::parse("{\"a\": 1,\n \"b\": }", "b.json"),
                    Catch::Contains("b.json:2: byte"));
  CHECK_THROWS_AS(JsonReader::parse("", "b.json"), InputError);
  CHECK_THROWS_AS(JsonReader::parse("{\"a\": 1", "b.json"), InputError);
  CHECK_THROWS_AS(JsonReader::parse("{} {}", "b.json"), InputError);
  CHECK_THROWS_AS(JsonReader::parse("\"\xff\"", "b.json"), InputError);
  CHECK_THROWS_AS(JsonReader::parse(std::string(100'000, '['), "b.json"), InputError);
}

TEST_CASE("write_json: numbers look like what they are", "[system]") {
  CHECK(json_number(1.0) == "1.0");
  CHECK(json_number(0.1) == "0.1");
  CHECK(json_number(1e-6) == "1e-06");
  CHECK(json_number(-0.0) == "-0.0");
  CHECK_THROWS_AS(json_number(std::nan("")), std::invalid_argument);
  CHECK_THROWS_AS(json_number(std::numeric_limits<double>::infinity()), std::invalid_argument);
  const boost::json::value value = {{"a", 1}, {"b", {1.0, "x\n", nullptr}}};
  CHECK(write_json(value) == R"({"a":1,"b":[1.0,"x\n",null]})");
  CHECK(write_json(value, JsonLayout::indented) ==
        "{\n  \"a\": 1,\n  \"b\": [\n    1.0,\n    \"x\\n\",\n    null\n  ]\n}");
  CHECK(write_json(boost::json::object()) == "{}");
}

TEST_CASE("write_json: every double reads back as the same bits", "[system]") {
  std::mt19937_64 random(1);
  int num_checked = 0;
  for (int i = 0; i < 20'000; ++i) {
    for (const double x :
         {std::bit_cast<double>(random()), static_cast<double>(random() >> 11) * 0x1p-53}) {
      if (!std::isfinite(x)) continue;
      const double back =
          JsonReader::parse("[" + json_number(x) + "]", "x").elements()[0].as_double();
      REQUIRE(std::bit_cast<std::uint64_t>(back) == std::bit_cast<std::uint64_t>(x));
      ++num_checked;
    }
  }
  CHECK(num_checked > 30'000);
  CHECK(JsonReader::parse("1e-400", "x").as_double() == 0.0);
  CHECK_THROWS_AS(JsonReader::parse("1e400", "x").as_double(), InputError);
}

TEST_CASE("JsonReader: damaged text parses or is an InputError", "[system]") {
  int num_parsed = 0;
  for (unsigned seed = 0; seed < 5000; ++seed) {
    try {
      write_json(JsonReader::parse(testing::mutate(kText, seed), "m.json").value());
      ++num_parsed;
    } catch (const InputError&) {
    } catch (
        const std::invalid_argument&) {  // an infinity from a number beyond the range of a double
    }
  }
  CHECK(num_parsed > 0);
  CHECK(num_parsed < 5000);
}

TEST_CASE("json: a key that stands twice is refused where keys are to be unique", "[system]") {
  const auto error_of = [](const std::string& text) -> std::string {
    try {
      JsonReader::parse(text, "x", JsonKeys::unique);
    } catch (const InputError& error) {
      return error.what();
    }
    return "(no error)";
  };
  CHECK(error_of(R"({"a": {"a": 1, "b": 2}, "b": [{"a": 1}, {"a": 1}]})") == "(no error)");
  CHECK_THAT(error_of("{\"a\": 1,\n \"b\": 1, \"a\": 2}"),
             Catch::StartsWith("x:2: byte") && Catch::Contains("\"a\" twice in an object"));
  CHECK_THAT(error_of(R"({"c": {"": 1, "": 1}})"), Catch::Contains("\"\" twice in an object"));
  CHECK_THAT(error_of(R"({"a\u0062": 1, "ab": 1})"), Catch::Contains("\"ab\" twice"));
  const std::string left_open = error_of(R"({"a": 1, "a)");
  CHECK_THAT(left_open, Catch::Contains("valid JSON") && !Catch::Contains("twice"));
  CHECK(JsonReader::parse(R"({"a": 1, "a": 2})", "x").get_int64("a") == 2);
}

}  // namespace
}  // namespace zeroth
