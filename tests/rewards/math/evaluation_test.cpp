// Exact values, balls that hold the true value, and what is too costly for either.
#include "rewards/math/evaluation.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>
#include <string>

#include "rewards/math/parser.h"

namespace zeroth::math {
namespace {

// "n/d", or "none".
std::string exact(std::string_view text) {
  const std::optional<Expression> expression = parse_expression(text);
  REQUIRE(expression);
  Budget budget;
  const std::optional<Rational> value = exact_value(*expression, expression->root, budget);
  if (!value) return "none";
  char* digits = fmpq_get_str(nullptr, 10, value->get());
  std::string result = digits;
  flint_free(digits);
  return result;
}

std::optional<Ball> ball(std::string_view text, std::int64_t bits = 128, int point = 0) {
  const std::optional<Expression> expression = parse_expression(text);
  REQUIRE(expression);
  Budget budget;
  return ball_value(*expression, expression->root, {.number = point}, bits, budget);
}

double real(std::string_view text) {
  const std::optional<Ball> value = ball(text);
  REQUIRE(value);
  REQUIRE(acb_is_real(value->get()));
  return arf_get_d(arb_midref(value->real()), ARF_RND_NEAR);
}

TEST_CASE("evaluation: rational values are exact", "[rewards][math]") {
  CHECK(exact("0.125") == "1/8");
  CHECK(exact("\\frac{2}{4} - 3") == "-5/2");
  CHECK(exact("2^{-3}") == "1/8");
  CHECK(exact("12.5\\%") == "1/8");
  CHECK(exact("\\sqrt{9/4}") == "3/2");
  CHECK(exact("\\sqrt[3]{-27}") == "-3");
  CHECK(exact("5! + \\binom{5}{2}") == "130");
  CHECK(exact("|-7| + \\lfloor 2.5 \\rfloor + \\lceil 2.5 \\rceil") == "12");
  CHECK(exact("10^{20}+1") == "100000000000000000001");
  CHECK(exact("-17 \\bmod 5") == "3");
  CHECK(exact("7^{10^{30}} \\bmod 10") == "1");
  CHECK(exact("(-2)^{100001} \\bmod 7") == "3");
}

TEST_CASE("evaluation: what is not rational, not defined or too large is not exact",
          "[rewards][math]") {
  for (const char* text : {"\\sqrt2", "\\pi", "x", "1/0", "0^0", "\\sqrt{-4}", "2^{70000}",
                           "9^{9^{9}}", "100000!", "2^{1/2}"}) {
    INFO(text);
    CHECK(exact(text) == "none");
  }
}

TEST_CASE("evaluation: a ball holds the value that the C library comes near", "[rewards][math]") {
  CHECK(real("\\sqrt2") == Approx(std::sqrt(2.0)).epsilon(1e-15));
  CHECK(real("e^2") == Approx(std::exp(2.0)).epsilon(1e-15));
  CHECK(real("\\sin 60^\\circ") == Approx(std::sqrt(3.0) / 2).epsilon(1e-15));
  CHECK(real("\\arctan 1") == Approx(std::numbers::pi / 4).epsilon(1e-15));
  CHECK(real("\\log_{10} 2") == Approx(std::log10(2.0)).epsilon(1e-15));
  CHECK(real("(-8)^{1/3}") == Approx(-2.0).epsilon(1e-15));
  CHECK(real("(-8)^{2/3}") == Approx(4.0).epsilon(1e-15));
  CHECK(real("3.5!") == Approx(std::tgamma(4.5)).epsilon(1e-15));
  CHECK(real("|3+4i|") == Approx(5.0).epsilon(1e-15));
}

TEST_CASE("evaluation: balls shrink with the bits, and hold each other's value",
          "[rewards][math]") {
  for (const char* text : {"\\sqrt2+\\pi", "e^{\\sin 1}", "x^3 - \\cos(xy)"}) {
    const std::optional<Ball> wide = ball(text, 64), narrow = ball(text, 512);
    REQUIRE(wide);
    REQUIRE(narrow);
    CHECK(acb_contains(wide->get(), narrow->get()));
    CHECK(acb_rel_accuracy_bits(narrow->get()) > acb_rel_accuracy_bits(wide->get()) + 300);
  }
}

TEST_CASE("evaluation: a symbol has one value at a point, another at the next, and its own",
          "[rewards][math]") {
  CHECK(acb_equal(ball("x")->get(), ball("x")->get()));
  CHECK_FALSE(acb_equal(ball("x")->get(), ball("y")->get()));
  CHECK_FALSE(acb_equal(ball("x", 128, 0)->get(), ball("x", 128, 1)->get()));
  CHECK(arb_is_positive(ball("x", 128, 0)->real()));
}

TEST_CASE("evaluation: no ball where there is no value, or none that can be paid for",
          "[rewards][math]") {
  for (const char* text : {"1/0", "\\ln 0", "0^{-1}", "\\infty", "9^{9^{9^9}}", "2^{2^{100}}",
                           "(10^9)!", "\\tan(e^{e^{e^e}})"}) {
    INFO(text);
    CHECK_FALSE(ball(text));
  }
  const std::optional<Expression> expression = parse_expression("\\sin 1 + \\sin 2");
  Budget small{.left = 100};
  CHECK_FALSE(ball_value(*expression, expression->root, {}, 128, small));
  CHECK(small.is_spent());
}

}  // namespace
}  // namespace zeroth::math
