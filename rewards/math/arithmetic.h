// Arithmetic that a text writes out, and what it comes to: for games and checkers that say which
// numbers may be used.
//
// Goal: bounded and exact, whatever a model wrote. Non-goal: anything beyond + - * / and
// parentheses: with powers, factorials, percent, symbols and units a text is no arithmetic.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth::math {

inline constexpr std::size_t kMaxArithmeticBytes = 4096;

struct Arithmetic {
  std::vector<std::string> numbers;  // as they are written, in this order; in lowest terms: "3"
  std::optional<std::string> value;  // "24", "-3/2"; nothing after a division by zero
};

/// As parse_expression reads it, so in LaTeX too: 3*8, 3 \times 8, 3(4+1), \frac{8}{2}, 8 ÷ 2,
/// -3+5. An equation whose right side is a number is its left side where both have one value ("3*8
/// = 24"). Nothing for what is no arithmetic, for an equation that does not hold, for numbers
/// beside each other ("3 4", "3 1/2"), and for texts of more than kMaxArithmeticBytes.
std::optional<Arithmetic> read_arithmetic(std::string_view text);

/// A number in lowest terms: of "0.5" and "2/4" that is "1/2".
std::optional<std::string> lowest_terms(std::string_view number);

}  // namespace zeroth::math
