#include "rewards/answers/exact_number.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "datasets/random_stream.h"

namespace zeroth {
namespace {

bool equal(std::string_view x, std::string_view y) {
  const auto a = parse_exact_number(x), b = parse_exact_number(y);
  REQUIRE(a.has_value());
  REQUIRE(b.has_value());
  return *a == *b;
}

bool is_number(std::string_view text) {
  return parse_exact_number(text).has_value();
}

TEST_CASE("exact_number: ways to write one number", "[rewards]") {
  const std::pair<const char*, const char*> pairs[] = {
      {"42", "42.0"},
      {"42", " 42. "},
      {"042", "42"},
      {"+42", "42"},
      {".5", "0.5"},
      {"1,234,567", "1234567"},
      {"1{,}234.50", "1234.5"},
      {"371,\\!043,\\!400", "371043400"},
      {"-1,000", "-1000"},
      {"\xE2\x88\x92"
       "5",
       "-5"},
      {"- 5", "-5"},
      {"-0", "0"},
      {"0.00", "0"},
      {"$18", "18"},
      {"\\$18.50", "18.5"},
      {"-$3", "-3"},
      {"$-3", "-3"},
      {"$18$", "18"},
      {"\\(18\\)", "18"},
      {"\\[ 18 \\]", "18"},
      {"$\\$18$", "18"},
      {"\\text{42}", "42"},
      {"\\mathbf{ 42 }", "42"},
      {"\\, 42\\ ", "42"},
      {"1/2", "0.5"},
      {"-1/2", "1/-2"},
      {"2/4", "\\frac{1}{2}"},
      {"\\dfrac{-3}{6}", "-\\tfrac{1}{2}"},
      {"-\\frac{-1}{2}", "0.5"},
      {"\\frac12", "1/2"},
      {"\\frac 1 2", "1/2"},
      {"\\frac{1,000}{3}", "1000/3"},
      {"1.5/0.5", "3"},
      {"1e3", "1000"},
      {"1.5E-3", "0.0015"},
      {"2.5 \\times 10^{3}", "2500"},
      {"2\\cdot10^{-1}", "1/5"},
      {"2\\times10^3", "2000"},
  };
  for (const auto& [x, y] : pairs) {
    INFO(x << " and " << y);
    CHECK(equal(x, y));
  }
}

TEST_CASE("exact_number: different numbers differ, however close", "[rewards]") {
  CHECK_FALSE(equal("42", "-42"));
  CHECK_FALSE(equal("0.333333333333", "1/3"));
  CHECK_FALSE(equal("100000000000000000000000000000001", "100000000000000000000000000000000"));
  CHECK_FALSE(equal("0.1", "0.10000000000000000000000000000001"));
  CHECK_FALSE(equal("1e9", "1e8"));
  CHECK_FALSE(equal("1,000", "1"));
}

TEST_CASE("exact_number: a percentage is a hundredth", "[rewards]") {
  CHECK(equal("50%", "1/2"));
  CHECK(equal("50\\%", "0.5"));
  CHECK(equal("50 \\%", "50%"));
  CHECK(equal("12.5%", "\\frac{1}{8}"));
  CHECK(equal("$50\\%$", "50\\%."));
  CHECK_FALSE(equal("50%", "50"));
}

TEST_CASE("exact_number: what is not a number", "[rewards]") {
  for (const char* text : {"",
                           " ",
                           ".",
                           "-",
                           "$",
                           "%",
                           "$$",
                           "x",
                           "12x",
                           "1 2",
                           "1,23",
                           "1,2345",
                           "1234,567",
                           "0,123",
                           ",123",
                           "1,,234",
                           "1.2.3",
                           "--5",
                           "+-5",
                           "1/0",
                           "1/",
                           "/2",
                           "1/2/3",
                           "\\frac{1}{0}",
                           "\\frac",
                           "\\frac{1}",
                           "\\frac{1}{2",
                           "\\frac{1}{2}3",
                           "3\\frac{1}{2}",
                           "\\frac{x}{2}",
                           "1e",
                           "1e+",
                           "1ee5",
                           "1e1.5",
                           "2\\times",
                           "2\\times 10",
                           "2\\times 10^",
                           "2\\times 10^{3",
                           "2^3",
                           "1+1",
                           "(1,2)",
                           "nan",
                           "inf",
                           "0x10",
                           "1e99999",
                           "-$x",
                           "\\text{",
                           "\\text{1}2",
                           "\\sqrt{4}",
                           "5 apples",
                           "\xFF\xFE",
                           "\\pi"}) {
    INFO(text);
    CHECK_FALSE(is_number(text));
  }
}

TEST_CASE("exact_number: limits on digits, exponents and length", "[rewards]") {
  const std::string most(kMaxNumberDigits, '9');
  CHECK(is_number(most));
  CHECK_FALSE(is_number(most + "9"));
  CHECK(is_number("1e4095"));
  CHECK_FALSE(is_number("1e4096"));
  CHECK(is_number("1e-4095"));
  CHECK_FALSE(is_number("1e-4096"));
  CHECK_FALSE(is_number("1e99999999999999999999"));
  CHECK(equal("1e00000000000000000002", "100"));
  CHECK(is_number(std::string(kMaxNumberBytes - 1, ' ') + "1"));
  CHECK_FALSE(is_number(std::string(kMaxNumberBytes, ' ') + "1"));
}

TEST_CASE("exact_number: the largest fractions compare within milliseconds", "[rewards]") {
  const std::string nines(4000, '9'), eights(4000, '8');
  const std::string fractions[] = {nines + "/" + eights, eights + "/" + nines, "9e4095/" + nines,
                                   "1e-4095/" + nines + "%"};
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string& x : fractions) {
    for (const std::string& y : fractions) CHECK(equal(x, y) == (&x == &y));
  }
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - begin;
  INFO("milliseconds a comparison: " << elapsed.count() / 16);
  CHECK(elapsed.count() / 16 < 100);  // wide, for sanitizers and busy machines
}

TEST_CASE("exact_number: decimals agree with integers scaled by hand", "[rewards]") {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    RandomStream random({.seed = 3, .index = i});
    const std::uint64_t value = random.next_below(1000000);
    const std::uint64_t places = random.next_below(6);
    std::string digits = std::to_string(value);
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    std::string decimal = digits;
    decimal.insert(digits.size() - places, ".");
    const std::string fraction = std::to_string(value) + "/1" + std::string(places, '0');
    const std::string scientific = std::to_string(value) + "e-" + std::to_string(places);
    REQUIRE(equal(decimal, fraction));
    REQUIRE(equal(decimal, scientific));
    REQUIRE_FALSE(equal(decimal, std::to_string(value + 1) + "e-" + std::to_string(places)));
  }
}

TEST_CASE("exact_number: mutated numbers are numbers or not, and equal themselves", "[rewards]") {
  const std::string seeds[] = {"-1,234.5e-3", "\\dfrac{-12}{3.5}", "$\\$1{,}000$.",
                               "12.5\\%",     "\\text{ 3/4 }",     "2.5 \\times 10^{-3}"};
  const std::string alphabet = "0123456789.,-+eE/%$\\{} ^";
  int numbers = 0, others = 0;
  for (std::uint64_t round = 0; round < 60000; ++round) {
    RandomStream random({.seed = 4, .index = round});
    std::string text = seeds[round % 6];
    for (std::uint64_t edits = 1 + random.next_below(4); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random.next_below(text.size());
      switch (random.next_below(4)) {
        case 0:
          text[at] = static_cast<char>(random.next_below(256));
          break;
        case 1:
          text.erase(at, 1 + random.next_below(3));
          break;
        default:
          text.insert(at, 1, alphabet[random.next_below(alphabet.size())]);
      }
    }
    const auto number = parse_exact_number(text);
    if (!number) {
      ++others;
      continue;
    }
    ++numbers;
    REQUIRE(number->denominator > 0);
    REQUIRE(*number == *number);
  }
  CHECK(numbers > 1000);
  CHECK(others > 1000);
}

}  // namespace
}  // namespace zeroth
