#include "rewards/answers/formula_search.h"

#include <catch2/catch.hpp>
#include <string>

#include "datasets/random_stream.h"

namespace zeroth {
namespace {

std::string last(std::string_view text, FormulaKinds kinds = {}) {
  return last_formula(text, kinds).value_or("none");
}
constexpr FormulaKinds kPlain{.marked = false, .plain = true};
constexpr FormulaKinds kMarked{.marked = true, .plain = false};

TEST_CASE("formula_search: marks of formulas", "[rewards]") {
  CHECK(last("so $x = 3$.") == "x = 3");
  CHECK(last("so \\( x = 3 \\).") == "x = 3");
  CHECK(last("so \\[\n x = 3 \n\\]") == "x = 3");
  CHECK(last("so $$\n x = 3 \n$$") == "x = 3");
  CHECK(last("first $1$, then $x$ grows", kMarked) == "x");
  CHECK(last("it is -\\frac{10}{9}, surely", kMarked) == "-\\frac{10}{9}");
  CHECK(last("$x$ and $y", kMarked) == "x");
  CHECK(last("none here", kMarked) == "none");
  CHECK(last("5 and 6", kMarked) == "none");
}

TEST_CASE("formula_search: lines of an environment are a chain, or a list", "[rewards]") {
  CHECK(last("\\begin{align*} x &= 1+2 \\\\ &= 3 \\end{align*}") == " x  = 1+2    = 3 ");
  CHECK(last("\\[\\begin{aligned} x &= 1 \\\\ y &= 2 \\end{aligned}\\]") == " x  = 1 ,  y  = 2 ");
  CHECK(last("$\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}$") ==
        "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}");
}

TEST_CASE("formula_search: formulas with commas, and, or between them are a list", "[rewards]") {
  CHECK(last("$1$ and $2$ and $3$") == "1, 2, 3");
  CHECK(last("$21,16$ or $11$.") == "21,16, 11");
  CHECK(last("$x = 1$, $y = 2$, and $z = 3$") == "x = 1, y = 2, z = 3");
  CHECK(last("$x=3$ and then $x=4$") == "x=4");
  CHECK(last("$x=3$ $x=4$") == "x=4");
}

TEST_CASE("formula_search: numbers as prose writes them", "[rewards]") {
  CHECK(last("which is 1,000.99\u20ac", kPlain) == "1,000.99");
  CHECK(last("it's 1,000.99m\u00b2", kPlain) == "1,000.99");
  CHECK(last("Soucis : 2,74 $ a..", kPlain) == "2,74");
  CHECK(last("about $1,000.99", kPlain) == "1,000.99");
  CHECK(last("only .5 of it", kPlain) == ".5");
  CHECK(last("it fell to -7.", kPlain) == "-7");
  CHECK(last("AZYUK2A", kPlain) == "none");
  CHECK(last("x=5", kPlain) == "5");
  CHECK(last("28 percent of 7 apples is 28 Percent") == "28\\%");
  CHECK(last("up by 100%.") == "100\\%");
  CHECK(last("$28$ pct") == "28\\%");
  CHECK(last("1 percentile") == "1");
  CHECK(last("The price is $3.50 and $4.50.") == "4.50");
}

TEST_CASE("formula_search: arithmetic, points and intervals as prose writes them", "[rewards]") {
  CHECK(last("P = (1/2) * (4/3) P(A) = 2/3 Therefore", kPlain) == "2/3");
  CHECK(last("about (1/2) * (4/3), say", kPlain) == "(1/2) * (4/3)");
  CHECK(last("so 3 and then 4.", kPlain) == "4");
  CHECK(last("it is [0, 1)", kPlain) == "[0, 1)");
  CHECK(last("the point (3,-4).", kPlain) == "(3,-4)");
  CHECK(last("1 + ", kPlain) == "1");
  CHECK(last("((((", kPlain) == "none");
}

TEST_CASE("formula_search: a sentence states what it begins with, or what is, or its first",
          "[rewards]") {
  CHECK(stated_formula("$5$ since $3+2=6$") == "5");
  CHECK(stated_formula("the volume of $ABC$ is 120") == "120");
  CHECK(stated_formula("we see $a$ and then 7") == "a");
  CHECK(stated_formula("**\"12\"**") == "12");
  CHECK_FALSE(stated_formula("nothing").has_value());
}

TEST_CASE("formula_search: what joins answers to a list", "[rewards]") {
  for (const char* joint : {"", ", ", " and ", "\\) and \\(", " \\quad \\text{or} \\quad ",
                            " papers and ", "$, $", " \\text{ for (a), and } "}) {
    INFO(joint);
    CHECK(joins_answers(joint));
  }
  for (const char* joint : {". ", " and so ", " later ", " = ", " + ", " 3 and ", ": and "}) {
    INFO(joint);
    CHECK_FALSE(joins_answers(joint));
  }
}

TEST_CASE("formula_search: whatever the bytes, formulas come in order and lie in the text",
          "[rewards]") {
  const std::string seed_text =
      "$x$ and \\(y\\), \\[z\\] $$1$$ (1, 2) 3 + 4 \\begin{align} a &= 1 \\\\ \\end{align} 5% "
      "-\\frac{1}{2}";
  std::size_t found = 0;
  for (std::uint64_t round = 0; round < 4000; ++round) {
    RandomStream random({.seed = 5, .index = round});
    std::string text = seed_text;
    for (std::uint64_t edits = random.next_below(10); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random.next_below(text.size());
      if (random.next_below(2) == 0) {
        text.erase(at, random.next_below(9));
      } else {
        text[at] = static_cast<char>(random.next_below(256));
      }
    }
    FormulaSearch search(text, {});
    std::size_t end = 0;
    while (search.next()) {
      for (const FormulaSpan& span : search.spans()) {
        REQUIRE(span.begin >= end);
        REQUIRE(span.inner_begin >= span.begin);
        REQUIRE(span.inner_end >= span.inner_begin);
        REQUIRE(span.end > span.begin);
        REQUIRE(span.end >= span.inner_end);
        REQUIRE(span.end <= text.size());
        end = span.end;
        ++found;
      }
    }
  }
  CHECK(found > 10000);  // not for want of formulas
}

}  // namespace
}  // namespace zeroth
