// What is the same answer, by hand; properties over all of them; bounded work on hostile ones.
#include "rewards/math/equality.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace zeroth::math {
namespace {

struct Case {
  const char* answer;
  const char* reference;
};

bool same(std::string_view answer, std::string_view reference) {
  return compare_answers(answer, reference).equal;
}
std::string why(std::string_view answer, std::string_view reference) {
  return std::string(reason_name(compare_answers(answer, reference).reason));
}

const std::vector<Case> kEqual = {
    // numbers
    {"0.5", "\\frac{1}{2}"},
    {"1/2", "\\frac12"},
    {"\\frac{270}7", "270/7"},
    {"1,234,567", "1234567"},
    {"10,\\!080", "10080"},
    {"50\\%", "0.5"},
    {"3\\frac12", "7/2"},
    {"137 \\frac{1}{2}", "137.5"},
    {"3 1/2", "3.5"},
    {"1.5E-3", "0.0015"},
    {"2\\times 10^{3}", "2000"},
    {"-(-3)", "3"},
    {"\\sqrt{9/4}", "3/2"},
    {"\\sqrt[3]{-8}", "-2"},
    {"5!", "120"},
    {"\\binom{5}{2}", "10"},
    {"\\frac{2^{2005}+1}{3 \\cdot 2^{2006}}", "\\frac16 + \\frac{1}{3 \\cdot 2^{2006}}"},
    // irrational numbers
    {"\\sqrt{12}", "2\\sqrt3"},
    {"\\frac{1}{\\sqrt2}", "\\frac{\\sqrt{2}}{2}"},
    {"10\\sqrt3 + \\sqrt4", "2 + 10\\sqrt{3}"},
    {"\\sin 30^\\circ", "\\frac12"},
    {"\\log_2 8", "3"},
    {"e^{\\ln 5}", "5"},
    {"\\cos(2\\pi)", "1"},
    {"(1+i)^2", "2i"},
    {"e^{i\\pi}", "-1"},
    {"2.667", "8/3"},
    {"4.123105625617661", "\\sqrt{17}"},
    // expressions
    {"x+1", "1+x"},
    {"(r+5)(r+5)", "(r+5)^2"},
    {"x^2+2x+1", "x^2 + 2*x - (-1)"},
    {"\\frac{x+2}{7}", "\\frac{x}{7}+\\frac{2}{7}"},
    {"\\tan^2(y)+1", "\\sec^2(y)"},
    {"\\frac{\\sin x}{\\cos x}", "\\tan x"},
    {"x^{2/3}", "\\sqrt[3]{x}^2"},
    {"|x-2|", "\\left|2-x\\right|"},
    // equations and inequalities
    {"5", "x = 5"},
    {"5 = x", "x=5"},
    {"y = 2x+1", "2x+1"},
    {"34x+45y-20z+100=0", "-34x-45y+20z-100=0"},
    {"x < 1", "-x > -1"},
    {"5 \\geq x", "x \\leq 5"},
    {"-793 < a < 10", "(-793, 10)"},
    {"-2 \\le x \\le 7", "x \\in [-2,7]"},
    {"x > 2", "(2, \\infty)"},
    {"x = 5+5+1 = 1/3 \\approx 11", "1/3"},
    {"k = 45, n = 2", "45, 2"},
    {"(p,q)=(3,2)", "(3,2)"},
    {"3 \\cdot 4 = 12", "12"},
    {"W(n) = 1 \\text{ and } W(n) = -1", "W(x) = -1, W(x) = 1"},
    {"y = 2, x = 1", "x = 1, y = 2"},
    {"a = 1, b = 2; a = 3, b = 4", "(1,2),(3,4)"},
    {"|x| \\le 3", "[-3, 3]"},
    {"1 \\leq |z| \\leq \\frac{3}{2}", "z \\in [-\\frac{3}{2}, -1] \\cup [1, \\frac{3}{2}]"},
    {"x < -3 \\text{ or } x > 3", "|x| > 3"},
    {"\\{1\\} \\cup \\{2\\}", "\\{1,2\\}"},
    {"\\{1,2\\} \\cap \\{2,3\\}", "\\{2\\}"},
    {"\\{1,2,3\\} \\setminus \\{2\\}", "\\{1,3\\}"},
    {"[1,2] \\cup [2,3]", "[1,3]"},
    {"(2,4) \\cup (1,3]", "(1,4)"},
    {"\\mathbb{R}", "(-\\infty, \\infty)"},
    {"\\mathbb{R} \\setminus \\{2, 5\\}", "(-\\infty,2) \\cup (2,5) \\cup (5,\\infty)"},
    {"x \\neq 2", "(-\\infty, 2) \\cup (2, \\infty)"},
    // sets, tuples, intervals, matrices
    {"3, 5, 7", "\\{7,5,3\\}"},
    {"(1,2), (3,4), (1,2)", "(3,4), (1,2)"},  // a set says it once
    {"1 \\pm \\sqrt{19}", "1 - \\sqrt{19}, 1 + \\sqrt{19}"},
    {"1 and 2", "2, 1"},
    {"(1, 4.5)", "\\left(1,\\frac{9}{2}\\right)"},
    {"(-\\infty, 0] \\cup (1,2)", "(1,2)\\cup(-\\infty,0]"},
    {"\\begin{pmatrix}1 & 2\\\\3 & 4\\end{pmatrix}",
     "\\left[\\begin{array}{cc}1 & 2 \\\\3 & 4\\end{array}\\right]"},
    {"7:32", "S_1:S_2=7:32"},
    // units, words, bases
    {"10\\text{ units}", "10"},
    {"864 \\mbox{ inches}^2", "864"},
    {"90", "90^\\circ"},
    {"\\pi/2", "90^\\circ"},
    {"\\$32,\\!348", "32348"},
    {"Evelyn", "\\text{Evelyn}"},
    {"C", "\\text{(C)}"},
    {"EAST", "\\text{east}"},
    {"52_8", "52_{8}"},
    {"\\mathrm{E}", "E"},
    // spellings
    {"\\\\frac{1}{3}", "\\dfrac{1}{3}"},
    {"\\cotx", "\\cot x"},
    {"3\xe2\x88\x92"
     "1",
     "2"},
    {"$\\frac {1}{2}$.", "1/2"},
    {"\\text{2/3}", "2/3"},
};

const std::vector<Case> kDifferent = {
    {"42", "43"},
    {"5", "5.001"},
    {"17", "17.001"},
    {"0.33", "1/3"},   // two digits are no rounding
    {"2.668", "8/3"},  // not how it rounds
    {"50", "0.5"},
    {"50\\%", "50"},
    {"\\sqrt{109}", "\\sqrt{10}"},
    {"\\frac{4}{3}\\pi", "\\frac43"},
    {"1 + e^{-1000}", "1"},
    {"\\frac{1}{2^{99}}", "\\frac{1}{2^{98}}"},
    {"x+1", "x-1"},
    {"x", "y"},
    {"f(x)", "f(y)"},
    {"\\sqrt{x^2}", "x"},
    {"x+2n+1", "x+1"},
    {"p - q", "p+q-r"},
    {"a+3z = 0", "0"},
    {"7 = 11a+c", "11a+c"},
    {"x \\geq 5", "x \\leq 5"},
    {"x < 1", "x > -1"},
    {"x < 1", "x \\leq 1"},
    {"x + y - z + 2 = 0", "5x - 7y + 11z + 4 = 0"},
    {"(1,2)", "(2,1)"},
    {"(1,2)", "(1,2,3)"},
    {"[0,1)", "[0,1]"},
    {"(0,9) \\cup (9,36)", "(0,36)"},
    {"4, 12, 2", "10, 4, 2"},
    {"1, 1, 2", "1, 2, 2"},
    {"1, 1, 2", "1, 3"},
    {"x = 2, y = 1", "x = 1, y = 2"},
    {"a = 1, b = 2; a = 3, b = 4", "(1,2),(4,3)"},
    {"2 + 2 = 5", "4"},
    {"|x| > 3", "x > 3"},
    {"(1,2) \\cup (2,3)", "(1,3)"},
    {"[1,2] \\cup [3,4]", "[1,4]"},
    {"\\mathbb{R} \\setminus \\{2\\}", "\\mathbb{R}"},
    {"\\{1,2\\} \\cup \\{3\\}", "\\{1,2\\}"},
    {"A \\setminus \\{3\\}", "A"},
    {"|x| < 3", "(-3, 3]"},
    {"x < 3 \\text{ or } x > 1", "(-\\infty, 3) \\cup (1, \\infty)"},
    // what text alone would confuse
    {"(1.2, 3)", "(12, 3)"},
    {"x = 1.2", "x = 12"},
    {"3 4", "34"},
    {"-5 \\text{ cm}", "5 \\text{ cm}"},
    {"1.5 \\text{ cm}", "15 \\text{ cm}"},
    {"1,22", "1.22"},  // a list, unless prose is read
    {"3,1", "(1,3)"},
    {"\\begin{pmatrix}1 & 2\\end{pmatrix}", "\\begin{pmatrix}1 \\\\ 2\\end{pmatrix}"},
    {"5 \\text{ cm}", "5 \\text{ kg}"},
    {"52_8", "52"},
    {"52_8", "52_7"},
    {"Navin", "Saturday"},
    {"12:00", "1:00"},
    {"", "0"},
    {"1", ""},
    {"\\infty", "-\\infty"},
    {"\\infty", "10"},
    {"\\frac{1}{0}", "1"},
    {"9^{9^{9^{9}}}", "7"},
};

TEST_CASE("equality: answers that say the same", "[rewards][math]") {
  for (const auto& [answer, reference] : kEqual) {
    INFO(answer << " and " << reference << ": " << why(answer, reference));
    CHECK(same(answer, reference));
  }
}

TEST_CASE("equality: answers that do not", "[rewards][math]") {
  for (const auto& [answer, reference] : kDifferent) {
    INFO(answer << " and " << reference << ": " << why(answer, reference));
    CHECK_FALSE(same(answer, reference));
  }
}

TEST_CASE("equality: what a policy asks beyond the usual", "[rewards][math]") {
  const auto equal = [](const char* a, const char* b, const EqualityPolicy& policy) {
    return compare_answers(a, b, policy).equal;
  };
  const EqualityPolicy usual, ordered{.ordered_lists = true}, prose{.decimal_comma = true},
      two{.decimals = 2}, names{.any_names = true}, no_relation{.relation_for_set = false};
  CHECK(equal("1, 2", "2, 1", usual));
  CHECK_FALSE(equal("1, 2", "2, 1", ordered));
  CHECK(equal("1, 2.0", "1, 2", ordered));
  CHECK(equal("1,22", "1.22", prose));
  CHECK(equal("0,111", "0.111", prose));
  CHECK(equal("1.234,5", "1234.5", prose));
  CHECK(equal("3,5", "5, 3", prose));  // still a list
  CHECK(equal("1 234", "1234", prose));
  CHECK_FALSE(equal("1 234", "1234", usual));
  CHECK_FALSE(equal("1,222", "1.222", prose));
  CHECK(equal("0.33", "1/3", two));
  CHECK(equal("(0.6, 2.6667]", "(3/5, 8/3]", two));
  CHECK_FALSE(equal("0.34", "1/3", two));
  CHECK_FALSE(equal("33/100", "1/3", two));  // no decimal
  CHECK(equal("f(x)", "f(y)", names));
  CHECK_FALSE(equal("f(x) + y", "f(y) + y", names));
  CHECK(equal("-2 \\le x \\le 7", "[-2, 7]", usual));
  CHECK_FALSE(equal("-2 \\le x \\le 7", "[-2, 7]", no_relation));
  CHECK(equal("[-2, 7]", "-2 \\le x \\le 7", no_relation));
}

TEST_CASE("equality: reasons", "[rewards][math]") {
  CHECK(why("\\frac{1}{2}", "\\dfrac{1}{2}") == "same text");
  CHECK(why("1/2", "0.5") == "same value");
  CHECK(why("2.667", "8/3") == "rounded");
  CHECK(why("5", "5\\text{ cm}") == "unit left out");
  CHECK(why("50", "50\\%") == "percent as a number");
  CHECK(why("5 kg", "5 cm") == "different unit");
  CHECK(why("1", "2") == "different");
  CHECK(why("1", "(1,2)") == "different kind");
  CHECK(why("1)", "1") == "not parsed");
  CHECK(why(std::string(20000, '1'), "1") == "budget");
}

TEST_CASE("equality: reflexive, and symmetric but for percentages", "[rewards][math]") {
  std::vector<std::string> answers;
  for (const auto* cases : {&kEqual, &kDifferent}) {
    for (const auto& [answer, reference] : *cases) {
      answers.emplace_back(answer);
      answers.emplace_back(reference);
    }
  }
  std::size_t asymmetric = 0;
  for (const std::string& x : answers) {
    if (!x.empty()) CHECK(same(x, x));
    for (const std::string& y : answers) {
      const Comparison forth = compare_answers(x, y), back = compare_answers(y, x);
      if (forth.equal == back.equal) continue;
      INFO(x << " and " << y);
      CHECK(
          (forth.reason == Reason::percent_as_number || back.reason == Reason::percent_as_number));
      ++asymmetric;
    }
  }
  CHECK(asymmetric > 0);  // 50 is what "50 %" asks for; "50 %" is not 50
}

TEST_CASE("equality: a long identity is within the budget", "[rewards][math]") {
  std::string sum = "1";
  for (int i = 1; i < 300; ++i) sum += "+x^{" + std::to_string(i) + "}";
  const std::string closed = "\\frac{x^{300}-1}{x-1}";
  CHECK(same(closed, sum));
  CHECK_FALSE(same(closed, sum + "+x^{300}"));
}

TEST_CASE("equality: nothing hostile costs more than its budget", "[rewards][math]") {
  std::vector<std::string> hostile = {
      "9^{9^{9^{9}}}",
      "\\dfrac{5^{\\left(5^{\\left(5^{\\left(5^5\\right)}\\right)} - 4\\right)} - 5}{16}",
      "\\binom{10^{9}}{5\\cdot 10^{8}}",
      "2^{\\frac{1}{2^{1000}}}",
      "1000000000!",
      "3!!!!!!!!!!",
      "\\sin(10^{100000})",
      "x=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1=1",
      "e^{e^{e^{e^{e^{e}}}}}",
      "0^{-1}",
      "0^0",
      std::string("a\0b", 3),
      "\xff\xfe\x80",
  };
  const auto repeated = [](std::string_view piece, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += piece;
    return text;
  };
  for (const char* piece : {"(",
                            "{",
                            "[",
                            "\\{",
                            "|",
                            "-",
                            "+",
                            "\\sqrt",
                            "\\frac",
                            "^",
                            "_",
                            "!",
                            "%",
                            "'",
                            "x^",
                            "2^",
                            "\\boxed{",
                            "\\text{",
                            "\\pm",
                            "1,",
                            "x+",
                            "sin ",
                            "\\begin{pmatrix}",
                            "1\\\\",
                            "\\left",
                            "\\",
                            "$",
                            "=",
                            "<",
                            "x<",
                            "9"}) {
    hostile.push_back(repeated(piece, 60));
    hostile.push_back(repeated(piece, 3000) + "1");
  }
  hostile.push_back("\\sqrt{" + repeated("\\sqrt{2}+", 300) + "1}");
  hostile.push_back(repeated("\\sin(", 30) + "1" + repeated(")", 30));
  for (const std::string& x : hostile) {
    INFO(x.substr(0, 60));
    CHECK_FALSE(same(x, "7"));
    CHECK_FALSE(same("7", x));
    static_cast<void>(compare_answers(x, x + " "));
  }
}

TEST_CASE("equality: long lists, sets and unions stay within the budget", "[rewards][math]") {
  const auto list = [](std::string_view before, std::string_view after, int first) {
    std::string text;
    for (int i = 0; i < 120; ++i) {
      if (i > 0) text += after;
      text += std::string(before) + std::to_string(first + i);
    }
    return text;
  };
  for (const char* before :
       {"", "|x| < ", "x = ", "x_{1} > ", "\\pm", "\\sqrt", "-2 < x < ", "|x| \\ne "}) {
    INFO(before);
    CHECK_FALSE(same(list(before, ", ", 100), list(before, ", ", 101)));
    CHECK_FALSE(same(list(before, "; ", 100), list(before, ", ", 500)));
  }
  const std::string sets = list("\\{1\\} \\cup \\{", "\\} \\cup ", 5) + "\\}";
  CHECK_FALSE(same(sets, "\\{1, 2\\}"));
  const std::string unions = list("(1,2) \\cup (2,", ") \\cup ", 5) + ")";
  CHECK_FALSE(same(unions, "(1, 2000)"));
  CHECK_FALSE(same("\\mathbb{R} \\setminus \\{" + list("", ",", 5) + "\\}", "\\mathbb{R}"));
}

// Every answer of the two tables, with bytes changed, taken away and put in.
TEST_CASE("equality: mutated answers are compared without harm, and equal themselves",
          "[rewards][math]") {
  std::mt19937 random(20240607);
  const auto below = [&random](std::size_t n) { return random() % n; };
  static constexpr std::string_view kBytes = "0123456789.,+-*/^_{}()[]|\\$%!'=<>&:; xyiesqrtfracpi";
  std::size_t reflexive = 0;
  for (int i = 0; i < 6000; ++i) {
    const auto& cases = i % 2 == 0 ? kEqual : kDifferent;
    const Case& pick = cases[below(cases.size())];
    std::string text = pick.answer;
    const std::string other = pick.reference;
    for (std::size_t n = 1 + below(4); n > 0; --n) {
      const std::size_t at = below(text.size() + 1);
      switch (below(4)) {
        case 0:
          text.insert(at, 1, kBytes[below(kBytes.size())]);
          break;
        case 1:
          if (at < text.size()) text.erase(at, 1 + below(3));
          break;
        case 2:
          if (at < text.size()) text[at] = kBytes[below(kBytes.size())];
          break;
        default:
          text.insert(at, other.substr(below(other.size() + 1)));
          break;
      }
    }
    INFO(text << " and " << other);
    const Comparison forth = compare_answers(text, other), back = compare_answers(other, text);
    if (forth.equal != back.equal) {
      CHECK(
          (forth.reason == Reason::percent_as_number || back.reason == Reason::percent_as_number));
    }
    reflexive += same(text, text) ? 1 : 0;
  }
  CHECK(reflexive > 5700);  // all but those without a single letter or digit
}

}  // namespace
}  // namespace zeroth::math
