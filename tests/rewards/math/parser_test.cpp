// Trees that answers become, written as nested calls.
#include "rewards/math/parser.h"

#include <catch2/catch.hpp>
#include <string>

namespace zeroth::math {
namespace {

std::string written(const Expression& expression, NodeId id) {
  static constexpr const char* kNames[] = {
      "",    "",      "",      "add",  "neg", "pm",     "mul",   "div",  "pow",   "root",  "fn",
      "log", "binom", "fact",  "mod",  "sum", "prod",   "lim",   "diff", "int",   "cases", "pct",
      "deg", "unit",  "ratio", "list", "br",  "matrix", "union", "cap",  "minus", "rel",   "words"};
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
  CHECK(tree("-3\\frac{1}{2}") == "neg(add:mixed(3 div(1 2)))");
  CHECK(tree("3\\frac{x}{2}") == "mul(3 div(x 2))");
  CHECK(tree("3\\frac{2x}{5}") == "mul(3 div(mul(2 x) 5))");
  CHECK(tree("3\\frac{1}{0.5}") == "mul(3 div(1 0.5))");
  CHECK(tree("1.5\\frac12") == "mul(1.5 div(1 2))");
}

TEST_CASE("parser: functions", "[rewards][math]") {
  CHECK(tree("\\sin^2 2x + 1") == "add(pow(fn:sin(mul(2 x)) 2) 1)");
  CHECK(tree("\\log_2 8") == "log(2 8)");
  CHECK(tree("\\log x") == "log(10 x)");
  CHECK(tree("ln(x)") == "fn:ln(x)");
  CHECK(tree("\\sin^{-1} x") == "fn:arcsin(x)");
  CHECK(tree("\\sin^{-2} x") == "pow(fn:sin(x) neg(2))");
  CHECK(tree("\\operatorname{arsinh}(x)") == "fn:arcsinh(x)");
  CHECK(tree("\\max(a, b)") == "fn:max(a b)");
  CHECK(tree("\\gcd\\{4, 6\\}") == "fn:gcd(4 6)");
  CHECK(tree("5 \\text{ min}") == "unit:min(5)");
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

TEST_CASE("parser: what a fraction line and mod reach over", "[rewards][math]") {
  CHECK(tree("a/2b") == "div(a mul(2 b))");
  CHECK(tree("a/2 b") == "mul(div(a 2) b)");
  CHECK(tree("4/3\\pi r^3") == "mul(div(4 3) pi pow(r 3))");
  CHECK(tree("1/2(x+1)") == "mul(div(1 2) add(x 1))");
  CHECK(tree("\\sqrt{3}/2i") == "mul(div(root(2 3) 2) i)");
  CHECK(tree("-14/2 \\mod 5") == "mod(div(neg(14) 2) 5)");
  CHECK(tree("1+x \\bmod 8y") == "add(1 mod(x mul(8 y)))");
}

TEST_CASE("parser: bars close what they can, or else open", "[rewards][math]") {
  CHECK(tree("||x||y||") == "fn:abs(mul(fn:abs(x) fn:abs(y)))");
  CHECK(tree("|x||y|") == "mul(fn:abs(x) fn:abs(y))");
  CHECK(tree("\\left|x|y|z\\right|") == "fn:abs(mul(x fn:abs(y) z))");
  CHECK(tree("\\lvertx\\rvert") == "fn:abs(x)");
  CHECK(tree("\\mleft\\vert x\\mright\\vert") == "fn:abs(x)");
  CHECK(tree("2\\left|x|") == "mul(2 fn:abs(x))");
}

TEST_CASE("parser: sums, products, limits, derivatives, integrals", "[rewards][math]") {
  CHECK(tree("\\sum_{k=1}^3 k^2 + 1") == "add(sum:k(1 3 pow(k 2)) 1)");
  CHECK(tree("\\prod^{n}_{i = 0} 2i") == "prod:i(0 n mul(2 i))");
  CHECK(tree("i\\sum_{i=1}^3 2i") == "mul(i sum:i(1 3 mul(2 i)))");
  CHECK(tree("\\lim_{x \\to 3} x") == "lim:x(3 x)");
  CHECK(tree("\\lim_{x \\to 3^-} x") == "lim:x(3 words:- x)");
  CHECK(tree("\\lim_{x \\rightarrow 0^{+}} x") == "lim:x(0 words:+ x)");
  CHECK(tree("\\frac{d}{dx} x^2") == "diff:x(pow(x 2))");
  CHECK(tree("\\frac{d^2}{dx^2} x") == "diff:x(diff:x(x))");
  CHECK(tree("\\int_0^1 x^2 dx + 1") == "add(int:x(0 1 pow(x 2)) 1)");
  CHECK(tree("\\int xdx") == "int:x(x)");
  CHECK(tree("\\int \\frac{2 dz}{z}") == "int:z(div(2 z))");
  CHECK(tree("\\int_0^1\\int_0^x y dy dx") == "int:x(0 1 int:y(0 x y))");
  CHECK(tree("\\int x") == "nothing");
}

TEST_CASE("parser: matrices are computed with while they are read", "[rewards][math]") {
  const std::string column = "\\begin{pmatrix}1\\\\x\\end{pmatrix}";
  CHECK(tree("2" + column) == "matrix:1(mul(2 1) mul(2 x))");
  CHECK(tree(column + "+" + column) == "matrix:1(add(1 1) add(x x))");
  CHECK(tree(column + "^T") == "matrix:2(1 x)");
  CHECK(tree(column + "^T" + column) == "matrix:1(add(mul(1 1) mul(x x)))");
  CHECK(tree(column + column) == "nothing");
  CHECK(tree("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}") == "fn:det(matrix:2(1 2 3 4))");
  CHECK(tree("\\operatorname{tr}\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}") == "add(1 4)");
}

TEST_CASE("parser: cases and lines", "[rewards][math]") {
  CHECK(tree("\\begin{cases} x & \\text{if } x > 0 \\\\ 0 & \\text{otherwise} \\end{cases}") ==
        "cases(x rel:>(x 0) 0)");
  CHECK(tree("\\begin{cases} x = 1 \\\\ y = 2 \\end{cases}") == "list(rel:=(x 1) rel:=(y 2))");
  CHECK(tree("\\begin{aligned} x &= 1 \\\\ y &= 2 \\end{aligned}") ==
        "list(rel:=(x 1) rel:=(y 2))");
}

TEST_CASE("parser: numbers as programs print them are one factor", "[rewards][math]") {
  CHECK(tree("7 \\bmod 1E-3") == "mod(7 mul(1 pow(10 neg(3))))");
  CHECK(tree("2.5e+7x") == "mul(mul(2.5 pow(10 7)) x)");
  CHECK(tree("2e") == "mul(2 e)");
}

TEST_CASE("parser: a letter may stick to a command", "[rewards][math]") {
  CHECK(tree("a\\timesb") == "mul(a b)");
  CHECK(tree("2\\pir") == "mul(2 pi r)");
  CHECK(tree("\\intxdx") == "int:x(x)");
  CHECK(tree("\\int \\thetad\\theta") == "int:\\theta(\\theta)");
  CHECK(tree("\\int x d{x}") == "int:x(x)");
  CHECK(tree("\\theta") == "\\theta");
  CHECK(tree("\\begin{pmatrix}1\\\\2\\end{pmatrix}^\\intercal") == "matrix:2(1 2)");
}

TEST_CASE("parser: sets", "[rewards][math]") {
  CHECK(tree("\\{1+2\\}\\{3-4\\}") == "mul(add(1 2) add(3 neg(4)))");
  CHECK(tree("{1,2} \\setminus {2}") == "minus(list(1 2) 2)");
  CHECK(tree("[0,2] \\cap (1,3)") == "cap(br:[](0 2) br:()(1 3))");
  CHECK(tree("(1,2) U (3,4)") == "union(br:()(1 2) br:()(3 4))");
  CHECK(tree("\\{x \\mid x > 2\\}") == "rel:>(x 2)");
  CHECK(tree("\\{x : x > 2\\}") == "rel:>(x 2)");
  CHECK(tree("\\mathbb{R} \\supseteq \\emptyset") == "rel:subset(list \\mathbb{R})");
  CHECK(tree("k = 1, 2, 3") == "rel:=(k list(1 2 3))");
  CHECK(tree("p = 5, q = 2; p = 7, q = 2") ==
        "list(br:()(rel:=(p 5) rel:=(q 2)) br:()(rel:=(p 7) rel:=(q 2)))");
}

TEST_CASE("parser: names and numbers", "[rewards][math]") {
  CHECK(tree("x^2_1") == "pow(x_1 2)");
  CHECK(tree("\\alpha _{ij}") == "\\alpha_ij");
  CHECK(tree("\\overline{x}_2") == "barx_2");
  CHECK(tree("\\overline{AB}") == "mul(A B)");
  CHECK(tree("\\overline{2+i}") == "fn:conj(add(2 i))");
  CHECK(tree("0.1\\overline{6}") == "div(015 90)");
  CHECK(tree("x\u00b2\u2075 + \u00bd") == "add(pow(x 25) div(1 2))");
  CHECK(tree("2\u00bd") == "add:mixed(2 div(1 2))");
  CHECK(tree("{n \\choose 2}") == "binom(n 2)");
  CHECK(tree("{a \\over b+1}") == "div(a add(b 1))");
}

TEST_CASE("parser: what is no answer is nothing", "[rewards][math]") {
  for (const char* text : {"", "(", ")", "1)", "(1", "x^", "\\frac{1}", "^2", "1 +", "= 1", "[1,2",
                           "\\begin{pmatrix}1&2\\\\3\\end{pmatrix}", "\\begin{table}1\\end{table}",
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
  CHECK(parse_expression("(((1)))", {.max_nodes = 3}));
  CHECK_FALSE(parse_expression("(((1)))", {.max_nodes = 2}));
}

}  // namespace
}  // namespace zeroth::math
