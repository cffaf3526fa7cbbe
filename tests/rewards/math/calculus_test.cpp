// Derivatives, limits, integrals, and common divisors of polynomials.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rewards/math/evaluation.h"
#include "rewards/math/parser.h"
#include "rewards/math/value_at.h"

namespace zeroth::math {
namespace {

// The value where x = 1/2 and y = 3, or why there is none.
std::string value(std::string_view text) {
  static constexpr SymbolValue kValues[] = {{"x", "1/2"}, {"y", "3"}};
  const ValueComparison comparison = compare_value(text, kValues, "1");
  return comparison.got.empty() ? comparison.why : comparison.got;
}

bool has_value(std::string_view text, std::string_view expected) {
  static constexpr SymbolValue kValues[] = {{"x", "1/2"}, {"y", "3"}};
  const ValueComparison comparison = compare_value(text, kValues, expected);
  UNSCOPED_INFO(text << ": got " << comparison.got << ", " << comparison.why);
  return comparison.equal;
}

TEST_CASE("calculus: derivatives", "[rewards][math]") {
  CHECK(has_value("\\frac{d}{dx} x^3", "0.75"));
  CHECK(has_value("\\frac{d}{dx} (x^2 y)", "3"));
  CHECK(has_value("\\frac{d}{dy} x", "0"));
  CHECK(has_value("\\frac{d^2}{dx^2} x^4", "3"));
  CHECK(has_value("\\frac{d}{dx} \\frac{1}{x}", "-4"));
  CHECK(has_value("\\frac{d}{dx} \\sqrt{x}", "0.707106781186548"));
  CHECK(has_value("\\frac{d}{dx} \\sqrt[3]{x - 1}", "0.529133683989399"));
  CHECK(has_value("\\frac{d}{dx} 2^x", "0.980258143468547"));
  CHECK(has_value("\\frac{d}{dx} \\arcsin x", "1.15470053837925"));
  CHECK(has_value("\\frac{d}{dx} |x - 1|", "-1"));
  CHECK_FALSE(has_value("\\frac{d}{dx} x^3", "0.76"));
}

TEST_CASE("calculus: where there is no derivative there is no value", "[rewards][math]") {
  CHECK(value("\\frac{d}{dx} |x - 1/2|") == "not defined");
  CHECK(value("\\frac{d}{dx} \\sqrt{x - 1/2}") == "not defined");
  CHECK(value("\\frac{d}{dx} \\frac{1}{2x - 1}") == "not defined");
  CHECK(value("\\frac{d}{dx} \\lfloor x \\rfloor") == "not defined");
}

// d/dx of f at 1/2 beside (f(1/2 + h) - f(1/2 - h)) / 2h with h = 2^-40.
TEST_CASE("calculus: derivatives are what differences go to", "[rewards][math]") {
  for (const std::string f : {"\\sin(%)",
                              "\\cos(%)",
                              "\\tan(%)",
                              "\\cot(%)",
                              "\\sec(%)",
                              "\\csc(%)",
                              "\\arcsin(%)",
                              "\\arccos(%)",
                              "\\arctan(%)",
                              "\\operatorname{arccot}(%)",
                              "\\sinh(%)",
                              "\\cosh(%)",
                              "\\tanh(%)",
                              "\\coth(%)",
                              "\\operatorname{arsinh}(%)",
                              "\\operatorname{artanh}(%)",
                              "\\operatorname{arcosh}(1+(%))",
                              "\\exp(%)",
                              "\\ln(%)",
                              "\\log_2(%)",
                              "(%)^{(%)}",
                              "\\sqrt{1+(%)}",
                              "(%)^{-5}",
                              "((%)-1)^{1/3}",
                              "\\frac{(%)^2+1}{(%)-3}",
                              "(%)\\%"}) {
    const auto at = [&f](const std::string& x) {
      std::string result = f;
      for (std::size_t i; (i = result.find('%')) != std::string::npos && result[i - 1] != '\\';) {
        result.replace(i, 1, x);
      }
      return result;
    };
    const std::string h = "2^{-40}";
    CHECK(has_value("\\lfloor 10^{12} (\\frac{d}{dx} " + at("x") + " - \\frac{" + at("1/2+" + h) +
                        " - (" + at("1/2-" + h) + ")}{2 \\cdot " + h + "}) + 0.5 \\rfloor",
                    "0"));
  }
}

TEST_CASE("calculus: limits", "[rewards][math]") {
  CHECK(has_value("\\lim_{x \\to 3} x^2", "9"));
  CHECK(has_value("\\lim_{x \\to 0} \\frac{\\sin x}{x}", "1"));
  CHECK(has_value("\\lim_{x \\to 0} \\frac{1 - \\cos x}{x^2}", "0.5"));
  CHECK(has_value("\\lim_{x \\to 4} \\frac{\\sqrt{x} - 2}{x - 4}", "0.25"));
  CHECK(has_value("\\lim_{n \\to \\infty} (1 + \\frac{1}{n})^n", "2.71828182845905"));
  CHECK(has_value("\\lim_{x \\to \\infty} (\\sqrt{x^2 + x} - x)", "0.5"));
  CHECK(has_value("\\lim_{x \\to -\\infty} \\frac{x}{\\sqrt{x^2 + 1}}", "-1"));
  CHECK(has_value("\\lim_{x \\to -\\infty} \\arctan x", "-1.5707963267949"));
  CHECK(has_value("\\lim_{x \\to \\infty} e^{-x}", "0"));
  CHECK(has_value("\\lim_{x \\to 0^-} \\frac{|x|}{x}", "-1"));
  CHECK(has_value("\\lim_{x \\to 0^{+}} \\frac{|x|}{x}", "1"));
  CHECK(has_value("\\lim_{x \\to 3} y", "3"));
  CHECK_FALSE(has_value("\\lim_{x \\to 0} \\frac{\\sin x}{x}", "1.1"));
}

TEST_CASE("calculus: where there is no limit there is no value", "[rewards][math]") {
  CHECK(value("\\lim_{x \\to 0} \\frac{|x|}{x}") == "not defined");
  CHECK(value("\\lim_{x \\to 0} \\frac{1}{x}") == "not defined");
  CHECK(value("\\lim_{x \\to \\infty} \\sin x") == "not defined");
  CHECK(value("\\lim_{x \\to 0} e^{1/x}") == "not defined");
}

TEST_CASE("calculus: integrals", "[rewards][math]") {
  CHECK(has_value("\\int x dx", "0.125"));
  CHECK(has_value("\\int (3x^2 + y) dx", "1.625"));
  CHECK(has_value("\\int \\frac{1}{x^2} dx", "-2"));
  CHECK(has_value("\\int \\frac{dx}{x}", "-0.693147180559945"));
  CHECK(has_value("\\int \\cos(2x) dx", "0.420735492403948"));
  CHECK(has_value("\\int e^{2x} dx", "1.35914091422952"));
  CHECK(has_value("\\int \\frac{1}{2x + 1} dx", "0.346573590279973"));
  CHECK(has_value("\\int 2 dx", "1"));
  CHECK(has_value("\\int_0^1 x^2 dx", "0.333333333333333"));
  CHECK(has_value("\\int_0^{\\pi} \\sin x dx", "2"));
  CHECK(has_value("\\int_0^1 \\int_0^x y dy dx", "0.166666666666667"));
  CHECK(has_value("\\int_0^1 e^{-x^2} dx", "0.746824132812427"));
  CHECK(has_value("\\int_1^2 \\frac{1}{x} dx", "0.693147180559945"));
  CHECK_FALSE(has_value("\\int_0^1 x^2 dx", "0.335"));
}

TEST_CASE("calculus: integrals across a pole or a kink have no value", "[rewards][math]") {
  CHECK_FALSE(has_value("\\int_{-1}^{1} \\frac{1}{x} dx", "0"));
  CHECK_FALSE(has_value("\\int_{-1}^{1} \\frac{1}{x^2} dx", "-2"));
  CHECK(value("\\int x \\sin x dx") == "not defined");
  CHECK_FALSE(has_value("\\int_{-1}^{2} |x| dx", "2.6"));
}

// What the table gives, and what the enclosure of the same integral gives.
TEST_CASE("calculus: the table agrees with numeric enclosures", "[rewards][math]") {
  for (const std::string f : {"\\frac{1}{x^2}", "\\frac{3}{2x+1}", "\\sqrt{3x+1}", "\\ln(2x)",
                              "(x+1)^{5/2}", "2^x", "\\cosh(3x-1)", "5\\sin(x/2) - x"}) {
    const auto table_at = [&f](const char* x) {
      const SymbolValue values[] = {{"x", x}};
      return compare_value("\\int " + f + " dx", values, "0").got;
    };
    const std::string difference =
        "(" + table_at("2") + ") - (" + table_at("1") + ") - \\int_1^2 (" + f + ") dx";
    CHECK(has_value("\\lfloor 10^{10} (" + difference + ") + 0.5 \\rfloor", "0"));
  }
}

TEST_CASE("common divisors: what is not rational is a variable", "[rewards][math]") {
  CHECK(has_value("\\gcd(x, y)", "1"));
  CHECK(has_value("\\operatorname{lcm}(x, y)", "1.5"));
  CHECK(has_value("\\gcd(12x, 18x^2)", "3"));
  CHECK(has_value("\\gcd(x^2 - 1, x - 1)", "-0.5"));
  CHECK(has_value("\\gcd(x/2 + 1, x^2 + 2x)", "2.5"));
  CHECK(has_value("\\gcd(\\sqrt{5}, \\sqrt{2})", "1"));
  CHECK(has_value("\\gcd(\\sqrt{12}, 4\\sqrt{3})", "3.46410161513775"));
  CHECK(has_value("\\operatorname{lcm}(\\pi, 3)", "9.42477796076938"));
  CHECK(has_value("\\operatorname{lcm}(4x, 6x)", "6"));
  CHECK(has_value("\\gcd(1/2, 3/4)", "0.25"));
  CHECK(has_value("\\sum_{k=1}^{10} \\gcd(k, 6)", "23"));
  CHECK_FALSE(has_value("\\gcd(12x, 18x^2)", "6"));
}

}  // namespace
}  // namespace zeroth::math
