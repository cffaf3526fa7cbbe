// Numbers as answers write them, compared exactly.
//
// Goal: bounded work on any bytes. Non-goals: expressions ("2+3"), roots, powers other than a
// decimal exponent, units, mixed numbers, rounding ("0.333" is not 1/3): a text that needs them is
// not a number here.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <boost/multiprecision/cpp_int.hpp>

namespace zeroth {

/// Longest text read as a number, and most digits (with those its exponent adds) of a numerator or
/// denominator.
inline constexpr std::size_t kMaxNumberBytes = 8192;
inline constexpr std::size_t kMaxNumberDigits = 4096;

/// numerator / denominator. Not reduced: reducing costs more than comparing by cross
/// multiplication, which is all that is done with it.
struct ExactNumber {
  boost::multiprecision::cpp_int numerator;
  boost::multiprecision::cpp_int denominator;  // above 0

  friend bool operator==(const ExactNumber& x, const ExactNumber& y) {
    return x.numerator * y.denominator == y.numerator * x.denominator;
  }
};

/// The number that the whole of `text` is, if it is one:
///   integers and decimals  42, -3.50, .5, 42., 1,234,567.8 and 1{,}234 (commas in threes)
///   scientific             1.5e-3, 1.5E3, 2\times 10^{3}, 2\cdot10^3
///   fractions of these     3/4, \frac{3}{4}, \dfrac, \tfrac, \frac34; the denominator not 0
/// with signs (+, -, U+2212) before the whole and before each part. Around it: white space, LaTeX
/// spaces, $…$, \(…\), \[…\], a leading $ or \$, \text{…} and its relatives. After it: a full stop,
/// % or \%. "50%" is 1/2. At most about a millisecond for any input.
std::optional<ExactNumber> parse_exact_number(std::string_view text);

}  // namespace zeroth
