// Trees that answers become, written as nested calls.
#include "rewards/math/parser.h"

#include <catch2/catch.hpp>
#include <string>

namespace zeroth::math {
namespace {

std::string written(const Expression& expression, NodeId id) {
  static constexpr const char* kNames[] = {
      "",    "",      "",      "add",  "neg", "pm",     "mul",   "div",  "pow",  "root",  "fn",
      "log", "binom", "fact",  "mod",  "sum", "prod",   "lim",   "diff", "int",  "cases", "pct",
      "deg", "unit",  "ratio", "list", "br",  "matrix", "union", "rel",  "words"};
  const Node& node = expression.at(id);
  std::string result = kNames[static_cast<std::size_t>(node.kind)];
  if (!node.text.empty()) result += (result.empty() ? "" : ":") + node.text;
  if (node.children.empty()) return result;
  result += '(';
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    result += (i > 0 ? " " : "") + written(expression, node.children[i]);
  }
  return result + ')';
}

std::string tree(std::string_view text) {
  const std::optional<Expression> expression = parse_expression(text);
  return expression ? written(*expression, expression->root) : "nothing";
}

TEST_CASE("parser: precedence and implicit products", "[rewards][math]") {
  CHECK(tree("1+2*3") == "add(1 mul(2 3))");
  CHECK(tree("a-b-c") == "add(a neg(b) neg(c))");
  CHECK(tree("2x^2") == "mul(2 pow(x 2))");
  CHECK(tree("-x^2") == "neg(pow(x 2))");
  CHECK(tree("2^3^2") == "pow(2 pow(3 2))");
  CHECK(tree("1/2x") == "mul(div(1 2) x)");
  CHECK(tree("2\\sqrt3\\pi") == "mul(2 root(2 3) pi)");
  CHECK(tree("x!") == "fact(x)");
}

TEST_CASE("parser: arguments of commands take one digit where there are no braces",
          "[rewards][math]") {
  CHECK(tree("\\frac43") == "div(4 3)");
  CHECK(tree("\\frac1{72}") == "div(1 72)");
  CHECK(tree("\\frac {1} 59") == "mul(div(1 5) 9)");
  CHECK(tree("\\sqrt12") == "mul(root(2 1) 2)");
  CHECK(tree("2^10") == "pow(2 10)");  // as people write it
}

TEST_CASE("parser: mixed numbers are sums, other neighbours products", "[rewards][math]") {
  CHECK(tree("3\\frac12") == "add:mixed(3 div(1 2))");
  CHECK(tree("3 1/2") == "add:mixed(3 div(1 2))");
  CHECK(tree("-3\\frac{1}{2}") == "mul(neg(3) div(1 2))");
  CHECK(tree("3\\frac{x}{2}") == "mul(3 div(x 2))");
}

TEST_CASE("parser: functions", "[rewards][math]") {
  CHECK(tree("\\sin^2 2x + 1") == "add(pow(fn:sin(mul(2 x)) 2) 1)");
  CHECK(tree("\\log_2 8") == "log(2 8)");
  CHECK(tree("log(x)") == "fn:ln(x)");
  CHECK(tree("\\sin x \\cos y") == "mul(fn:sin(x) fn:cos(y))");
  CHECK(tree("|x-|y||") == "fn:abs(add(x neg(fn:abs(y))))");
}

TEST_CASE("parser: what answers are made of", "[rewards][math]") {
  CHECK(tree("1, 2; 3 and 4") == "list(1 2 3 4)");
  CHECK(tree("\\{1\\}") == "list(1)");
  CHECK(tree("(1,2]") == "br:(](1 2)");
  CHECK(tree("((1))") == "1");
  CHECK(tree("x = 2 = y") == "rel:=(x y)");
  CHECK(tree("1 < x \\le 2") == "rel:chain(rel:<(1 x) rel:<=(x 2))");
  CHECK(tree("\\pi \\approx 3.14") == "pi");
  CHECK(tree("(1,2) \\cup (3,4)") == "union(br:()(1 2) br:()(3 4))");
  CHECK(tree("\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\\\ \\end{bmatrix}") == "matrix:2(1 2 3 4)");
  CHECK(tree("\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}") == "matrix:2(1 2 3 4)");
  CHECK(tree("864 \\mbox{ inches}^2") == "unit:inches^2(864)");
  CHECK(tree("90^\\circ") == "deg(90)");
  CHECK(tree("x_{12}") == "x_12");
  CHECK(tree("f'") == "f'");
  CHECK(tree("1 \\pm i") == "add(1 pm:+(i))");
}

TEST_CASE("parser: what is no answer is nothing", "[rewards][math]") {
  for (const char* text : {"", "(", ")", "1)", "(1", "x^", "\\frac{1}", "^2", "1 +", "= 1", "[1,2",
                           "\\begin{pmatrix}1&2\\\\3\\end{pmatrix}", "\\begin{align}1\\end{align}",
                           "\\sqrt", "|x", "\\{", "x_"}) {
    INFO(text);
    CHECK(tree(text) == "nothing");
  }
}

TEST_CASE("parser: limits", "[rewards][math]") {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '(') + "1" +
           std::string(static_cast<std::size_t>(depth), ')');
  };
  CHECK(tree(nested(8)) == "1");
  CHECK(tree(nested(33)) == "nothing");
  std::string sum = "1";
  for (int i = 0; i < 5000; ++i) sum += "+1";
  CHECK_FALSE(parse_expression(sum));
  CHECK(parse_expression("1+1", {.max_nodes = 3}));
  CHECK_FALSE(parse_expression("1+1", {.max_nodes = 2}));
}

}  // namespace
}  // namespace zeroth::math
