// Boost.Multiprecision's cpp_int: header-only, and at a few thousand digits as fast as needed.
#include "rewards/answers/exact_number.h"

#include <array>
#include <string>
#include <utility>

#include "system/ascii.h"

namespace zeroth {
namespace {

using boost::multiprecision::cpp_int;

constexpr auto npos = std::string_view::npos;
constexpr std::string_view kMinusSign = "\xE2\x88\x92";  // U+2212

bool consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool consume_last(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// "\\ " comes before " ", which is its end.
constexpr std::array<std::string_view, 12> kSpaces = {"\\ ", "\\,", "\\;", "\\:", "\\!", "~",
                                                      " ",   "\t",  "\n",  "\r",  "\v",  "\f"};

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kMathDelimiters = {
    {{"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}}};

bool strip_spaces(std::string_view& text) {
  const std::size_t size = text.size();
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view space : kSpaces) {
      again = again || consume(text, space) || consume_last(text, space);
    }
  }
  return text.size() < size;
}

// One layer of what may surround a number: spaces, dollars, \text{…}. The caller repeats it until
// nothing is left to strip; every layer shortens the text.
bool strip_layer(std::string_view& text) {
  if (strip_spaces(text)) return true;
  for (const auto& [open, close] : kMathDelimiters) {
    if (text.size() < open.size() + close.size()) continue;
    if (!text.starts_with(open) || !text.ends_with(close)) continue;
    text = text.substr(open.size(), text.size() - open.size() - close.size());
    return true;
  }
  for (const std::string_view command :
       {"\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{", "\\mbox{"}) {
    // The brace that ends the text has to be the command's own.
    if (text.starts_with(command) && text.find('}') == text.size() - 1) {
      text = text.substr(command.size(), text.size() - command.size() - 1);
      return true;
    }
  }
  return false;
}

void strip_around(std::string_view& text) {
  while (strip_layer(text)) {
  }
}

// A sign and the spaces after it; true for minus.
bool consume_sign(std::string_view& text) {
  strip_spaces(text);
  const bool negative = text.starts_with("-") || text.starts_with(kMinusSign);
  if (!consume(text, "-") && !consume(text, kMinusSign)) consume(text, "+");
  strip_spaces(text);
  return negative;
}

std::string_view consume_digits(std::string_view& text) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  const std::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  return digits;
}

bool consume_comma(std::string_view& text) {
  for (const std::string_view comma : {"{,}", ",\\!", ","}) {
    if (consume(text, comma)) return true;
  }
  return false;
}

// Digits with or without thousands separators. False when commas do not part them in threes.
bool consume_integer_part(std::string_view& text, std::string& digits) {
  const std::string_view first = consume_digits(text);
  digits = first;
  for (bool more = consume_comma(text); more; more = consume_comma(text)) {
    const std::string_view group = consume_digits(text);
    if (group.size() != 3 || first.empty() || first.size() > 3 || first[0] == '0') return false;
    digits += group;
  }
  return true;
}

// The exponent of "e-3", "\times 10^{3}" and their relatives; 0 where there is none, nothing where
// it is malformed or larger than any number of kMaxNumberDigits needs.
std::optional<int> consume_exponent(std::string_view& text) {
  bool braced = false;
  if (!consume(text, "e") && !consume(text, "E")) {
    if (text.empty()) return 0;
    strip_spaces(text);
    if (!consume(text, "\\times") && !consume(text, "\\cdot")) return std::nullopt;
    strip_spaces(text);
    if (!consume(text, "10^")) return std::nullopt;
    braced = consume(text, "{");
  }
  const bool negative = consume_sign(text);
  std::string_view digits = consume_digits(text);
  if (braced && !consume(text, "}")) return std::nullopt;
  if (digits.empty()) return std::nullopt;
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  if (digits.size() > 4) return std::nullopt;
  int exponent = 0;
  for (const char digit : digits) exponent = exponent * 10 + (digit - '0');
  return negative ? -exponent : exponent;
}

cpp_int power_of_ten(std::size_t exponent) {
  return boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(exponent));
}

cpp_int integer_of(std::string digits) {
  digits.erase(0, digits.find_first_not_of('0'));  // cpp_int reads a leading 0 as octal
  return digits.empty() ? cpp_int(0) : cpp_int(digits);
}

// A signed decimal that is the whole text, with an optional exponent.
std::optional<ExactNumber> parse_decimal(std::string_view text) {
  strip_around(text);
  const bool negative = consume_sign(text);
  std::string digits;
  if (!consume_integer_part(text, digits)) return std::nullopt;
  std::string_view fraction;
  if (consume(text, ".")) fraction = consume_digits(text);
  digits += fraction;
  if (digits.empty()) return std::nullopt;
  const std::optional<int> exponent = consume_exponent(text);
  if (!exponent || !text.empty()) return std::nullopt;

  const int scale = *exponent - static_cast<int>(fraction.size());  // value = digits * 10^scale
  const std::size_t shift = static_cast<std::size_t>(scale < 0 ? -scale : scale);
  if (digits.size() + shift > kMaxNumberDigits) return std::nullopt;
  ExactNumber number{.numerator = integer_of(std::move(digits)), .denominator = 1};
  if (scale > 0) number.numerator *= power_of_ten(shift);
  if (scale < 0) number.denominator = power_of_ten(shift);
  if (negative) number.numerator = -number.numerator;
  return number;
}

std::optional<ExactNumber> quotient(const std::optional<ExactNumber>& top,
                                    const std::optional<ExactNumber>& bottom) {
  if (!top || !bottom || bottom->numerator.is_zero()) return std::nullopt;
  ExactNumber result{.numerator = top->numerator * bottom->denominator,
                     .denominator = top->denominator * bottom->numerator};
  if (result.denominator < 0) {
    result.numerator = -result.numerator;
    result.denominator = -result.denominator;
  }
  return result;
}

// An argument of \frac: {…} without braces inside except those of "{,}" and exponents, or a single
// digit.
std::optional<std::string_view> consume_argument(std::string_view& text) {
  strip_spaces(text);
  if (!text.empty() && is_digit(text[0])) {
    const std::string_view digit = text.substr(0, 1);
    text.remove_prefix(1);
    return digit;
  }
  if (!text.starts_with("{")) return std::nullopt;
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) {
      const std::string_view content = text.substr(1, i - 1);
      text.remove_prefix(i + 1);
      return content;
    }
  }
  return std::nullopt;
}

// "\frac{a}{b}" after its command.
std::optional<ExactNumber> parse_frac_arguments(std::string_view text) {
  const auto top = consume_argument(text);
  const auto bottom = consume_argument(text);
  if (!top || !bottom || !text.empty()) return std::nullopt;
  return quotient(parse_decimal(*top), parse_decimal(*bottom));
}

std::optional<ExactNumber> parse_frac(std::string_view text) {
  const bool negative = consume_sign(text);
  for (const std::string_view command : {"\\frac", "\\dfrac", "\\tfrac"}) {
    if (!consume(text, command)) continue;
    std::optional<ExactNumber> number = parse_frac_arguments(text);
    if (number && negative) number->numerator = -number->numerator;
    return number;
  }
  return std::nullopt;
}

std::optional<ExactNumber> parse_slash(std::string_view text, std::size_t slash) {
  return quotient(parse_decimal(text.substr(0, slash)), parse_decimal(text.substr(slash + 1)));
}

}  // namespace

std::optional<ExactNumber> parse_exact_number(std::string_view text) {
  if (text.size() > kMaxNumberBytes) return std::nullopt;
  strip_around(text);
  consume_last(text, ".");
  strip_around(text);
  const bool percent = consume_last(text, "\\%") || consume_last(text, "%");
  strip_around(text);
  const bool negative_amount = text.starts_with("-$") || text.starts_with("-\\$");
  if (negative_amount) text.remove_prefix(1);
  if (!consume(text, "\\$")) consume(text, "$");
  if (negative_amount && !text.empty() && !is_digit(text[0]) && text[0] != '.') return std::nullopt;

  const std::size_t slash = text.find('/');
  std::optional<ExactNumber> number = text.find("frac") != npos ? parse_frac(text)
                                      : slash != npos           ? parse_slash(text, slash)
                                                                : parse_decimal(text);
  if (!number) return std::nullopt;
  if (negative_amount) number->numerator = -number->numerator;
  if (percent) number->denominator *= 100;
  return number;
}

}  // namespace zeroth
