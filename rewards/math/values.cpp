#include "rewards/math/values.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

namespace zeroth::math {
namespace {

constexpr std::int64_t kQuickBits = 128;
constexpr std::int64_t kSureBits = 2048;   // of constants: agreement to some 600 digits is equality
constexpr std::int64_t kSymbolBits = 256;  // of expressions, at each of the points, to begin with
constexpr std::int64_t kMaxSymbolBits = 4096;
constexpr int kPoints = 3;
constexpr std::size_t kMinSignificantDigits = 3;  // of a decimal that a value may round to

// Radius at most 2^(-bits/2), absolutely or relative to the value.
bool is_small(const Ball& x, std::int64_t bits) {
  const slong accuracy = acb_rel_accuracy_bits(x.get());
  if (accuracy >= bits / 2) return true;
  mag_t radius;
  mag_init(radius);
  mag_max(radius, arb_radref(acb_realref(x.get())), arb_radref(acb_imagref(x.get())));
  const bool small = mag_cmp_2exp_si(radius, -bits / 2) <= 0;
  mag_clear(radius);
  return small;
}

// The digits of a decimal: how many stand after the point, and how many count.
struct Decimal {
  std::int64_t places = 0;
  std::size_t significant = 0;
};
std::optional<Decimal> decimal(Part part) {
  while (part.kind() == Kind::negate || part.kind() == Kind::percent) part = part.child(0);
  if (part.kind() != Kind::number) return std::nullopt;
  const std::string& text = part.node().text;
  const std::size_t point = text.find('.');
  if (point == std::string::npos) return std::nullopt;
  std::string digits = text;
  digits.erase(point, 1);
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  return Decimal{.places = static_cast<std::int64_t>(text.size() - point - 1),
                 .significant = digits.size()};
}
bool is_literal(Part part) {
  while (part.kind() == Kind::negate || part.kind() == Kind::percent) part = part.child(0);
  return part.kind() == Kind::number;
}

// Compares within one budget.
class Values {
 public:
  explicit Values(Budget& budget) : budget_(budget) {}

  Verdict constants(const Part& a, const Part& b) {
    const std::optional<Rational> exact_a = exact(a);
    const std::optional<Rational> exact_b = exact(b);
    if (exact_a && exact_b) {
      if (fmpq_equal(exact_a->get(), exact_b->get())) return Verdict::same;
    } else if (agree(a, b, kQuickBits) && agree(a, b, kSureBits)) {
      return Verdict::same;
    }
    if (rounds_to(a, b) || rounds_to(b, a)) return Verdict::rounded;
    return different();
  }

  // Equal at every point, as far as both are defined there; different where the balls are disjoint.
  Verdict expressions(const Part& a, const Part& b) {
    bool compared = false;
    for (int point = 0; point < kPoints; ++point) {
      std::optional<Ball> x, y;
      for (std::int64_t bits = kSymbolBits;; bits *= 4) {  // what cancels takes bits away
        x = ball(a, point, bits);
        y = ball(b, point, bits);
        if (!x || !y || !acb_overlaps(x->get(), y->get())) break;
        if (is_small(*x, kSymbolBits) && is_small(*y, kSymbolBits)) break;
        if (bits >= kMaxSymbolBits) return Verdict::undecided;
      }
      if (budget_.is_spent()) return Verdict::undecided;
      if (!x && !y) continue;
      if (!x || !y || !acb_overlaps(x->get(), y->get())) return Verdict::different;
      compared = true;
    }
    return compared ? Verdict::same : Verdict::undecided;
  }

  Multiple multiple(const Part& a, const Part& b) {
    std::optional<Ball> factor;
    for (int point = 0; point < kPoints; ++point) {
      const std::optional<Ball> x = difference(a, point);
      const std::optional<Ball> y = difference(b, point);
      if (!x || !y) return Multiple::none;
      if (!factor) {
        if (acb_contains_zero(x->get()) || acb_contains_zero(y->get())) return Multiple::none;
        factor.emplace();
        acb_div(factor->get(), x->get(), y->get(), kSymbolBits);
        if (!acb_is_real(factor->get())) return Multiple::none;
      }
      Ball expected;
      acb_mul(expected.get(), y->get(), factor->get(), kSymbolBits);
      if (!overlap(*x, expected, kSymbolBits)) return Multiple::none;
    }
    return arb_is_positive(factor->real()) ? Multiple::positive : Multiple::negative;
  }

  bool round_alike(const Part& a, const Part& b, int decimals) {
    if (!decimal(a) && !decimal(b)) return false;
    fmpz_t x, y;
    fmpz_init(x);
    fmpz_init(y);
    const bool same = rounded(x, a, decimals) && rounded(y, b, decimals) && fmpz_equal(x, y) != 0;
    fmpz_clear(x);
    fmpz_clear(y);
    return same;
  }

 private:
  // The whole number next to 10^decimals times the value; false where it is not certain.
  bool rounded(fmpz_t out, const Part& part, int decimals) {
    std::optional<Ball> x = ball(part, 0, kQuickBits);
    if (!x || !acb_is_real(x->get())) return false;
    Ball scale;
    acb_set_si(scale.get(), 10);
    acb_pow_si(scale.get(), scale.get(), decimals, kQuickBits);
    acb_mul(x->get(), x->get(), scale.get(), kQuickBits);
    arb_set_d(scale.real(), 0.5);
    arb_add(x->real(), x->real(), scale.real(), kQuickBits);
    arb_floor(x->real(), x->real(), kQuickBits);
    return arb_get_unique_fmpz(out, x->real()) != 0;
  }

  Verdict different() const { return budget_.is_spent() ? Verdict::undecided : Verdict::different; }

  std::optional<Rational> exact(const Part& part) {
    return exact_value(*part.expression, part.id, budget_);
  }
  std::optional<Ball> ball(const Part& part, int point, std::int64_t bits) {
    return ball_value(*part.expression, part.id,
                      {.number = point, .sign = part.sign == 0 ? 1 : part.sign}, bits, budget_);
  }
  std::optional<Ball> difference(const Part& relation, int point) {
    std::optional<Ball> left = ball(relation.child(0), point, kSymbolBits);
    const std::optional<Ball> right = ball(relation.child(1), point, kSymbolBits);
    if (!left || !right) return std::nullopt;
    acb_sub(left->get(), left->get(), right->get(), kSymbolBits);
    return left;
  }

  bool agree(const Part& a, const Part& b, std::int64_t bits) {
    const std::optional<Ball> x = ball(a, 0, bits);
    const std::optional<Ball> y = x ? ball(b, 0, bits) : std::nullopt;
    return x && y && overlap(*x, *y, bits);
  }

  // Whether two balls overlap and are small enough for that to mean something.
  static bool overlap(const Ball& x, const Ball& y, std::int64_t bits) {
    return acb_overlaps(x.get(), y.get()) && is_small(x, bits) && is_small(y, bits);
  }

  // Whether `written` is a decimal and `value`, no literal itself, rounds to it.
  bool rounds_to(const Part& written, const Part& value) {
    const std::optional<Decimal> digits = decimal(written);
    if (!digits || digits->significant < kMinSignificantDigits || is_literal(value)) return false;
    std::optional<Ball> x = ball(written, 0, kQuickBits);
    const std::optional<Ball> y = x ? ball(value, 0, kQuickBits) : std::nullopt;
    if (!x || !y || !is_small(*y, kQuickBits)) return false;
    // Half a unit in the last place; of a percentage, a hundredth of that.
    Ball half;
    acb_set_si(half.get(), 10);
    acb_pow_si(half.get(), half.get(), -digits->places - (written.kind() == Kind::percent ? 2 : 0),
               kQuickBits);
    acb_mul_2exp_si(half.get(), half.get(), -1);
    acb_sub(x->get(), x->get(), y->get(), kQuickBits);
    if (!acb_is_real(x->get())) return false;
    arb_abs(x->real(), x->real());
    return !arb_gt(x->real(), half.real());
  }

  Budget& budget_;
};

}  // namespace

Verdict compare_values(const Part& a, const Part& b, Budget& budget) {
  const bool symbols = has_symbol(*a.expression, a.id) || has_symbol(*b.expression, b.id);
  Values values(budget);
  return symbols ? values.expressions(a, b) : values.constants(a, b);
}

bool rounds_alike(const Part& a, const Part& b, int decimals, Budget& budget) {
  return Values(budget).round_alike(a, b, decimals);
}

Multiple multiple_of(const Part& a, const Part& b, Budget& budget) {
  return Values(budget).multiple(a, b);
}

}  // namespace zeroth::math
