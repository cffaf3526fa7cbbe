#include "rewards/math/value_at.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "rewards/math/evaluation.h"
#include "rewards/math/parser.h"
#include "rewards/math/part.h"
#include "system/ascii.h"

namespace zeroth::math {
namespace {

constexpr std::int64_t kBits = 256;
constexpr slong kShownDigits = 15;
constexpr std::size_t kMaxBytes = 16384;

// "h_{\theta}" and "h_\theta" are one name.
std::string bare(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c != '\\' && c != '{' && c != '}' && c != ' ') result += c;
  }
  return result;
}

std::optional<Rational> fraction(std::string_view text) {
  Rational result;
  if (text.size() > 200 || fmpq_set_str(result.get(), std::string(text).c_str(), 10) != 0) {
    return std::nullopt;
  }
  if (fmpz_is_zero(fmpq_denref(result.get()))) return std::nullopt;
  fmpq_canonicalise(result.get());
  return result;
}

// A decimal as it is printed, and one unit in its last digit.
struct Printed {
  Ball value, unit;
};
std::optional<Printed> printed(std::string_view text) {
  std::int64_t exponent = 0;
  const std::size_t e = text.find_first_of("eE");
  if (e != std::string_view::npos) {
    const std::optional<Rational> power =
        fraction(text.substr(text.substr(e + 1).starts_with('+') ? e + 2 : e + 1));
    if (!power || fmpz_cmp_si(fmpq_numref(power->get()), 1'000'000) > 0 ||
        fmpz_cmp_si(fmpq_numref(power->get()), -1'000'000) < 0) {
      return std::nullopt;
    }
    exponent = fmpz_get_si(fmpq_numref(power->get()));
    text = text.substr(0, e);
  }
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const bool decimal = !text.empty() && std::all_of(text.begin(), text.end(),
                                                    [](char c) { return is_digit(c) || c == '.'; });
  const std::optional<Rational> digits = decimal ? literal_value(text) : std::nullopt;
  if (!digits) return std::nullopt;
  const std::size_t point = text.find('.');
  const auto places =
      point == std::string_view::npos ? 15 : static_cast<std::int64_t>(text.size() - point - 1);
  Printed result;
  acb_set_fmpq(result.value.get(), digits->get(), kBits);
  if (negative) acb_neg(result.value.get(), result.value.get());
  Ball ten;
  acb_set_si(ten.get(), 10);
  acb_pow_si(result.unit.get(), ten.get(), exponent, kBits);
  acb_mul(result.value.get(), result.value.get(), result.unit.get(), kBits);
  acb_pow_si(result.unit.get(), ten.get(), exponent - places, kBits);
  return result;
}

// "1.5", "-0.7*I" and "1.5 - 0.7*I" as their two parts.
struct Complex {
  std::string real = "0", imaginary = "0";
};
Complex split(std::string_view text) {
  Complex result;
  std::string spaceless;
  for (const char c : text) {
    if (c != ' ') spaceless += c;
  }
  if (!spaceless.ends_with("*I")) return {.real = spaceless};
  spaceless.resize(spaceless.size() - 2);
  std::size_t sign = spaceless.find_last_of("+-");
  if (sign != std::string::npos && sign > 0 && (spaceless[sign - 1] | 0x20) == 'e') {
    sign = spaceless.find_last_of("+-", sign - 1);
  }
  if (sign == std::string::npos || sign == 0) return {.imaginary = spaceless};
  result.real = spaceless.substr(0, sign);
  result.imaginary = spaceless.substr(spaceless[sign] == '+' ? sign + 1 : sign);
  return result;
}

bool agrees(const arb_struct* value, std::string_view expected) {
  const std::optional<Printed> decimal = printed(expected);
  if (!decimal) return false;
  Ball difference;
  arb_sub(difference.real(), value, decimal->value.real(), kBits);
  arb_abs(difference.real(), difference.real());
  return arb_le(difference.real(), decimal->unit.real()) != 0;
}

std::string digits_of(const arb_struct* x) {
  char* text = arb_get_str(x, kShownDigits, ARB_STR_NO_RADIUS);
  std::string result = text;
  flint_free(text);
  return result;
}

std::string shown(const Ball& x) {
  std::string result = digits_of(x.real());
  if (acb_is_real(x.get())) return result;
  return result + " + " + digits_of(acb_imagref(x.get())) + "*I";
}

// ∞ is no number: a percentage of it is the same.
int infinite(Part part) {
  int sign = 1;
  while (part.kind() == Kind::percent || part.kind() == Kind::negate) {
    if (part.kind() == Kind::negate) sign = -sign;
    part = part.child(0);
  }
  return sign * infinity(part);
}

// The values of the symbols of one expression.
class Bindings {
 public:
  Bindings(const Expression& expression, std::span<const SymbolValue> values) {
    acb_onei(imaginary_unit_.get());
    for (const Node& node : expression.nodes) {
      // That of \int dx need stand nowhere else.
      const bool names_symbol = node.kind == Kind::symbol || node.kind == Kind::integral ||
                                node.kind == Kind::constant;  // i, where it is given a value
      if (!names_symbol || find_binding(innermost_, node.text) != nullptr) continue;
      if (const SymbolValue* value = value_of(node.text, values)) {
        if (const std::optional<Rational> exact = fraction(value->value)) {
          bind(node.text, nullptr, &exact_.emplace_back(*exact));
        }
      } else if (node.text == "I") {
        bind(node.text, &imaginary_unit_, nullptr);
      }
    }
  }

  const Binding* innermost() const { return innermost_; }

 private:
  void bind(std::string_view name, const Ball* value, const Rational* exact) {
    innermost_ = &bindings_.emplace_back(
        Binding{.name = name, .value = value, .exact = exact, .outer = innermost_});
  }

  static const SymbolValue* value_of(std::string_view name, std::span<const SymbolValue> values) {
    const auto found = [&](const auto& test) -> const SymbolValue* {
      const auto at = std::find_if(values.begin(), values.end(), test);
      return at == values.end() ? nullptr : &*at;
    };
    const SymbolValue* exactly = found([&](const SymbolValue& v) { return v.symbol == name; });
    if (exactly != nullptr) return exactly;
    // \alpha is "alpha" rather than "\alpha ", where there are both.
    const std::string_view word = name.starts_with('\\') ? name.substr(1) : name;
    const SymbolValue* by_word = found([&](const SymbolValue& v) { return v.symbol == word; });
    if (by_word != nullptr) return by_word;
    const std::string plain = bare(name);
    return found([&](const SymbolValue& v) { return bare(v.symbol) == plain; });
  }

  Ball imaginary_unit_;
  std::deque<Rational> exact_;
  std::deque<Binding> bindings_;
  const Binding* innermost_ = nullptr;
};

}  // namespace

ValueComparison compare_value(std::string_view text, std::span<const SymbolValue> values,
                              std::string_view expected) {
  if (text.size() > kMaxBytes) return {.equal = false, .got = {}, .why = "too long"};
  const std::optional<Expression> expression = parse_expression(text);
  if (!expression) return {.equal = false, .got = {}, .why = "not parsed"};
  const Part whole{.expression = &*expression, .id = expression->root};
  if (const int sign = infinite(whole); sign != 0) {
    const std::string got = sign > 0 ? "oo" : "-oo";
    return {.equal = got == expected, .got = got, .why = got == expected ? "" : "different"};
  }
  if (!is_scalar(whole.kind())) return {.equal = false, .got = {}, .why = "not a number"};
  const Bindings bindings(*expression, values);
  Budget budget;
  const auto value_at = [&](int point) -> std::optional<Ball> {
    if (const auto exact = exact_value(*expression, whole.id, budget, bindings.innermost())) {
      Ball result;
      acb_set_fmpq(result.get(), exact->get(), kBits);
      return result;
    }
    return ball_value(*expression, whole.id,
                      {.number = point, .sign = 1, .bound = bindings.innermost()}, kBits, budget);
  };
  const std::optional<Ball> value = value_at(0);
  // A symbol without a value may cancel: x - x is 0.
  if (const Node* symbol = free_symbol(*expression, whole.id, bindings.innermost())) {
    const std::optional<Ball> other = value ? value_at(1) : std::nullopt;
    if (!other || !acb_overlaps(value->get(), other->get())) {
      return {.equal = false, .got = {}, .why = "no value of " + symbol->text};
    }
  }
  if (!value) {
    return {.equal = false, .got = {}, .why = budget.is_spent() ? "budget" : "not defined"};
  }
  const Complex parts = split(expected);
  const bool equal =
      agrees(value->real(), parts.real) && agrees(acb_imagref(value->get()), parts.imaginary);
  return {.equal = equal, .got = shown(*value), .why = equal ? "" : "different"};
}

}  // namespace zeroth::math
