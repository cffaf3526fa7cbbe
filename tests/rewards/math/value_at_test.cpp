// Numbers that texts stand for: by hand, and those that a fixture folder holds.
#include "rewards/math/value_at.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "rewards/math/parser.h"

namespace zeroth::math {
namespace {

namespace json = boost::json;

bool has_value(std::string_view text, std::string_view expected,
               const std::vector<SymbolValue>& values = {}) {
  const ValueComparison comparison = compare_value(text, values, expected);
  UNSCOPED_INFO(text << ": got " << comparison.got << ", " << comparison.why);
  return comparison.equal;
}

TEST_CASE("value: a decimal agrees to a unit in its last digit", "[rewards][math]") {
  CHECK(has_value("\\frac{7}{3}", "2.33333333333333"));
  CHECK(has_value("\\frac{7}{3}", "2.33333333333334"));
  CHECK_FALSE(has_value("\\frac{7}{3}", "2.33333333333336"));
  CHECK(has_value("100!", "9.33262154439442e+157"));
  CHECK_FALSE(has_value("100!", "9.33262154439442e+156"));
  CHECK(has_value("x - x", "0", {{"x", "1/3"}}));
  CHECK_FALSE(has_value("10^{-14}", "0"));
}

TEST_CASE("value: complex numbers have two parts, and infinity has a sign", "[rewards][math]") {
  CHECK(has_value("a + 2bi", "0.5 - 4*I", {{"a", "1/2"}, {"b", "-2"}}));
  CHECK_FALSE(has_value("a + 2bi", "0.5 + 4*I", {{"a", "1/2"}, {"b", "-2"}}));
  CHECK(has_value("3i", "3.0*I"));
  CHECK(has_value("3i", "1.5", {{"i", "1/2"}}));
  CHECK(has_value("i \\prod_{i=1}^{3} (i + 1)", "24*I"));
  CHECK(has_value("\\infty", "oo"));
  CHECK(has_value("-\\infty", "-oo"));
  CHECK_FALSE(has_value("\\infty", "-oo"));
}

TEST_CASE("value: symbols are known by name, however it is spelled", "[rewards][math]") {
  CHECK(has_value("h_\\theta", "1.5", {{"h_{\\theta}", "3/2"}}));
  CHECK(has_value("\\theta", "1.5", {{"theta", "3/2"}}));
  CHECK(has_value("x_{12}", "1.5", {{"x_{12}", "3/2"}, {"x_1", "7"}}));
  CHECK_FALSE(has_value("x_1", "1.5", {{"x", "3/2"}}));
}

TEST_CASE("value: exact where a ball would straddle a jump", "[rewards][math]") {
  CHECK(has_value("\\lfloor 2y - y - y \\rfloor", "0", {{"y", "37/29"}}));
  CHECK(has_value("3 + \\lceil \\frac{y}{3} \\cdot 3 - y \\rceil", "3", {{"y", "37/29"}}));
  CHECK(has_value("\\sqrt{2 |3y - 3y|}", "0", {{"y", "37/29"}}));
  CHECK(has_value("|42202512|", "42202512"));
  CHECK(has_value("\\sin(10^{9})", "0.545843449448699"));
}

TEST_CASE("value: what has none says why", "[rewards][math]") {
  const auto why = [](std::string_view text) { return compare_value(text, {}, "1").why; };
  CHECK(why("x + 1") == "no value of x");
  CHECK(why("1 +") == "not parsed");
  CHECK(why("1/0") == "not defined");
  CHECK(why("(1,2)") == "not a number");
  CHECK(why("2") == "different");
  CHECK(why("1") == "");
}

// Rows that a computer algebra system gave a number for.
TEST_CASE("fixtures: LaTeX and its value", "[rewards][fixtures]") {
  const char* root = std::getenv("ZEROTH_FIXTURES");
  const std::filesystem::path path = std::filesystem::path(root == nullptr ? "" : root) / "math";
  std::size_t agreed = 0, rows = 0;
  if (root != nullptr && std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (!entry.path().filename().string().starts_with("latex2sympy_parse")) continue;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        const json::object row = json::parse(line).as_object();
        const json::string& latex = row.at("latex").as_string();
        if (!row.at("value").is_string()) {  // an equation, a set, a matrix
          INFO(latex);
          CHECK(parse_expression(latex));
          continue;
        }
        std::vector<SymbolValue> values;
        for (const auto& [symbol, value] : row.at("subs").as_object()) {
          values.push_back({.symbol = symbol, .value = value.as_string()});
        }
        ++rows;
        const ValueComparison comparison =
            compare_value(latex, values, row.at("value").as_string());
        agreed += comparison.equal ? 1 : 0;
        if (!comparison.equal) {
          UNSCOPED_INFO(row.at("id").as_string()
                        << " " << latex << " is " << row.at("value") << ", got " << comparison.got
                        << " (" << comparison.why << ")");
        }
      }
    }
  }
  if (rows == 0) {
    WARN("skipped: ZEROTH_FIXTURES has no values of LaTeX");
    return;
  }
  WARN(agreed << " of " << rows << " values agree");
  CHECK(agreed * 100 >= rows * 99);
}

}  // namespace
}  // namespace zeroth::math
