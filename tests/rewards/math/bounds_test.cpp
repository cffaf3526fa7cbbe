// Hostile texts: whatever is written, reading keeps within its limits, and a value costs no more
// than its budget. Steps are counted, not seconds.
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "rewards/math/equality.h"
#include "rewards/math/evaluation.h"
#include "rewards/math/parser.h"
#include "rewards/math/value_at.h"
#include "tests/support/mutate.h"

namespace zeroth::math {
namespace {

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

std::string matrix(const std::string& environment, int size, const std::string& cell) {
  std::string result = "\\begin{" + environment + "}";
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      result += (j > 0 ? "&" : "") + cell + std::to_string((i * j * 7919 + i) % 997) + "}";
    }
    result += "\\\\";
  }
  return result + "\\end{" + environment + "}";
}

std::vector<std::string> hostile_texts() {
  const std::string square = "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}";
  return {
      // numbers that grow
      "9^{9^{9^{9}}}",
      "9!!!!!!!!!",
      repeated("2000!", 200),
      "(10^{5000})!",
      "\\binom{10^7}{10^6}",
      repeated("4000!+", 300) + "1",
      "\\tan(2^{2^{23}})",
      "e^{e^{e^{e}}}",
      "\\sin(10^{6000})",
      "\\lfloor 10^{15000} \\pi \\rfloor",
      "1E999999999",
      "9E9999999",
      std::string(16000, '9'),
      std::string(16000, '9') + "!",
      "\\log_{1.0000001} 2",
      "7^{60000} \\bmod 3",
      repeated("2^", 95) + "2",
      "0.1\\overline{" + std::string(15000, '6') + "}",
      repeated("(1/3)!", 100),
      "(x^{1000})^{1000}",
      // sums and products
      "\\sum_{k=1}^{10000} \\sum_{j=1}^{10000} kj",
      "\\sum_{k=1}^{10000} \\sqrt{k}",
      "\\sum_{k=1}^{10000} k^k",
      "\\sum_{k=1}^{10000} \\frac{1}{k}",
      "\\prod_{k=1}^{10000} k",
      "\\prod_{k=1}^{10000} \\sin k",
      "\\sum_{k=1}^{9999} \\sqrt{" + std::string(15000, '7') + "}",
      "\\sum_{k=1}^{9999} (k + \\sqrt{" + std::string(15000, '7') + "})",
      "\\sum_{k=1}^{1000} \\binom{4000}{k}",
      "\\sum_{k=1}^{1000} k!",
      "\\sum_{k=1}^{10^{30}} \\frac{1}{k}",
      repeated("\\sum_{k=1}^{10}", 30) + "\\sqrt{k}",
      // calculus
      "\\lim_{x\\to 0} " + repeated("\\sin(", 25) + "x" + repeated(")", 25),
      repeated("\\lim_{x\\to 0}", 90) + "x",
      "\\lim_{x\\to 0} (\\sin x + x)^{1000}",
      repeated("\\frac{d}{dx}", 90) + "x^x",
      repeated("\\frac{d^9}{dx^9}", 9) + "\\sin x",
      "\\frac{d^9}{dx^9} " + repeated("\\sin(x)", 200),
      "\\int_0^1 \\sin(1000000x) dx",
      "\\int_0^1 \\sin(1/x) dx",
      "\\int_0^1 \\sqrt{1-x^2} dx",
      "\\int_0^1 \\int_0^1 \\int_0^1 e^{xyz} dx dy dz",
      "\\int_0^1 x^{x^{x^{x}}} dx",
      "\\sum_{k=1}^{1000} \\int_0^k e^{-x^2} dx",
      "\\int_0^1 \\sum_{k=1}^{1000} x^k dx",
      "\\int_0^1 " + repeated("(x+1)", 63) + " dx",
      // matrices
      matrix("vmatrix", 60, "{"),
      matrix("vmatrix", 30, "\\sqrt{"),
      matrix("vmatrix", 10, "x^{"),
      matrix("vmatrix", 10, std::string(150, '9') + "{"),
      "\\det(" + repeated(square, 12) + ")",
      repeated(square, 500),
      "\\det(" + square + repeated("^3", 20) + ")",
      // common divisors
      "\\gcd(x^7y+y^7z+z^7x+1+x^3y^2z, x^6yz+y^5z^2+z^7+3+x^2y^3)",
      "\\gcd((x+y)(x+z)(y+w)(z-w), (x+y)(x-z)(y-w)(z+w))",
      "\\gcd((x+y+z+w+1)^8, (x-y+z-w)^8)",
      "\\gcd(" + repeated(std::string(1000, '7') + ",", 15) + "3)",
      // reading
      std::string(16000, 'x'),
      repeated("x^", 8000),
      std::string(16000, '-') + "1",
      repeated("(", 8000) + repeated(")", 8000),
      repeated("{", 8000),
      repeated("\\frac", 2000),
      repeated("\\sqrt", 3000) + "2",
      repeated("\\sqrt{", 2000),
      "f" + std::string(16000, '\''),
      "x_{" + std::string(15000, 'y') + "}",
      repeated("1,", 8000) + "1",
      repeated("x=1;", 4000),
      repeated("x<", 8000) + "x",
      repeated("[1,2]\\cup", 1700) + "[1,2]",
      repeated("a:", 8000) + "a",
      repeated("5 cm ", 3000),
      repeated("\\text{", 2600) + repeated("}", 400),
      repeated("\\begin{cases}", 1200),
      repeated("\\begin{cases}", 40) + "1" + repeated("\\end{cases}", 40),
      std::string(60, '|'),
      repeated("||x|", 15),
      repeated("|x|", 21),
      repeated("(|", 15) + "x" + repeated("|)", 15),
      repeated("\\{x \\mid", 20),
      std::string(16000, '\xff'),
      std::string(16000, '\0'),
      repeated("\\\\", 8000),
      repeated("\u00bd", 5000),
      repeated("\u00b2", 5000),
      repeated("\\pm1", 3000),
      repeated("1!", 8000),
      repeated("1%", 8000),
      repeated("1e9", 5000),
  };
}

// Who goes on after a refusal is refused again: once by each evaluation that had been begun, and by
// each point of an integrand.
constexpr std::int64_t kMaxRefusals = 2000;

TEST_CASE("bounds: hostile texts stay within the limits and the budget", "[rewards][math]") {
  for (const std::string& text : hostile_texts()) {
    INFO(text.substr(0, 60));
    const std::optional<Expression> expression = parse_expression(text);
    if (!expression) continue;
    CHECK(expression->nodes.size() <= ExpressionLimits{}.max_nodes);
    CHECK(expression->at(expression->root).depth <= ExpressionLimits{}.max_depth);
    for (const std::int64_t bits : {128, 2048}) {
      Budget budget;
      const bool exact = exact_value(*expression, expression->root, budget).has_value();
      const bool known =
          exact || ball_value(*expression, expression->root, {}, bits, budget).has_value();
      CHECK(budget.left >= 0);
      CHECK(budget.refused <= kMaxRefusals);
      CHECK_FALSE((known && budget.is_spent()));
    }
  }
}

TEST_CASE("bounds: what the budget does not cover has no value", "[rewards][math]") {
  const std::optional<Expression> sum = parse_expression("\\sum_{k=1}^{100} \\sqrt{k}");
  REQUIRE(sum);
  Budget enough, little{.left = 10'000};
  CHECK(ball_value(*sum, sum->root, {}, 128, enough));
  CHECK_FALSE(ball_value(*sum, sum->root, {}, 128, little));
  CHECK(little.is_spent());
}

TEST_CASE("bounds: hostile texts are answered, and differ from 1", "[rewards][math]") {
  for (const std::string& text : hostile_texts()) {
    INFO(text.substr(0, 60));
    CHECK_FALSE(compare_answers(text, "1.2345").equal);
    CHECK_FALSE(compare_value(text, {}, "1.2345").equal);
  }
}

// A power too large for its rest to be known lies in a ball that holds every decimal.
TEST_CASE("bounds: what is hardly known rounds to nothing", "[rewards][math]") {
  CHECK_FALSE(compare_answers("\\lfloor 7^{90000} \\pi \\rfloor \\bmod 3", "1.2345").equal);
  CHECK_FALSE(compare_answers("7^{90000}\\pi \\bmod 3", "1.2345").equal);
  CHECK(compare_answers("7\\pi \\bmod 3", "0.99115").equal);
}

// Damaged answers of every family: read or refused; what is read is well-formed and, compared with
// itself, the same or undecided.
TEST_CASE("bounds: damaged answers are read or refused", "[rewards][math]") {
  static constexpr const char* kAnswers[] = {
      "||x|-|y|| + \\left|3\\right|",
      "\\binom{n}{k} + {n \\choose 2}",
      "\\int_0^1 x^2 dx + \\frac{d}{dx} \\sin x",
      "\\lim_{x \\to 0^{+}} \\frac{\\sin x}{x}",
      "\\begin{cases} x & \\text{if } x > 0 \\\\ 0 & \\text{otherwise} \\end{cases}",
      "-2 \\le x < \\frac{7}{3}",
      "(3-4i)^2 + \\overline{2+i}",
      "90^\\circ + \\sin 30^\\circ",
      "\\lfloor 3.7 \\rfloor + \\lceil x \\rceil",
      "\\gcd(12, 18x) + \\operatorname{lcm}(4, 6)",
      "(-\\infty, 2] \\cup [3, 5) \\setminus \\{4\\}",
      "\\log_2 8 + \\ln e^3",
      "\\det\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}^T",
      "3\\frac12 + 1{,}234 + 50\\%",
      "-7 \\bmod 5",
      "\\prod_{i=1}^{4} (2i - 1) + \\sum_{k=1}^{10} \\frac{1}{k}",
      "\\sqrt[3]{-8} + \u221a2 + \u03c0\u00b2",
      "6.02E23 + 3 \\times 10^{-4}",
      "\\sin^2 x + \\cos^{-1} 2x",
      "\\{1, 2\\} \\cap \\{x \\mid x > 2\\}",
      "x_{12}' + 52_8",
      "5.25 \\text{ cm}^2",
      "\\text{East and West}",
      "x = 1, y = 2; x = 3, y = 4"};
  unsigned seed = 0, read = 0;
  for (const char* answer : kAnswers) {
    for (int i = 0; i < 60; ++i) {
      const std::string damaged = testing::mutate(answer, ++seed);
      INFO(damaged);
      const std::optional<Expression> expression = parse_expression(damaged);
      static_cast<void>(compare_value(damaged, {}, "1"));
      if (!expression) continue;
      ++read;
      for (std::size_t id = 0; id < expression->nodes.size(); ++id) {
        for (const NodeId child : expression->nodes[id].children) CHECK(child < id);
      }
      CHECK(compare_answers(damaged, damaged).equal);
    }
  }
  CHECK(read > 100);  // else the damage is all that is tested
}

}  // namespace
}  // namespace zeroth::math
