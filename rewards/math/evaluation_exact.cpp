// Rational values.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <flint/fmpq_mat.h>

#include "rewards/math/evaluation.h"

namespace zeroth::math {
namespace {

constexpr std::int64_t kMaxTerms = 10'000;  // of a sum or product over an index

std::int64_t bits_of(const Rational& x) {
  return static_cast<std::int64_t>(
      std::max(fmpz_bits(fmpq_numref(x.get())), fmpz_bits(fmpq_denref(x.get()))));
}
bool fits(const Rational& x) {
  return bits_of(x) <= kMaxBits;
}
bool is_integer(const Rational& x) {
  return fmpz_is_one(fmpq_denref(x.get())) != 0;
}

// Words of the larger of both, squared: no operation here costs more.
std::int64_t cost_of(std::int64_t bits) {
  const std::int64_t words = 1 + bits / 64;
  return 100 + words * words;
}

// x as a whole number of at most `limit` in size.
std::optional<std::int64_t> small_integer(const Rational& x, std::int64_t limit) {
  if (!is_integer(x) || !fmpz_fits_si(fmpq_numref(x.get()))) return std::nullopt;
  const std::int64_t value = fmpz_get_si(fmpq_numref(x.get()));
  if (value > limit || value < -limit) return std::nullopt;
  return value;
}

class Exact {
 public:
  Exact(const Expression& expression, Budget& budget) : expression_(expression), budget_(budget) {}

  std::optional<Rational> value(NodeId id, const Binding* bound) {
    const Node& node = expression_.at(id);
    switch (node.kind) {
      case Kind::number:
        if (!budget_.spend(cost_of(static_cast<std::int64_t>(node.text.size()) * 4))) return {};
        return literal_value(node.text);
      case Kind::symbol: {
        if (!budget_.spend(50)) return {};
        const Binding* binding = find_binding(bound, node.text);
        if (binding == nullptr || binding->exact == nullptr) return {};
        return *binding->exact;
      }
      case Kind::sum_over:
      case Kind::product_over:
        return over_index(node, bound);
      case Kind::modulo:
        if (std::optional<Rational> rest = rest_of_power(node, bound)) return rest;
        break;
      case Kind::function:
        if (node.text == "det") return determinant(expression_.at(node.children[0]), bound);
        // Then it is one of polynomials.
        if ((node.text == "gcd" || node.text == "lcm") &&
            has_broken_symbol(expression_, id, bound)) {
          return {};
        }
        break;
      default:
        break;
    }
    if (!is_rational_operation(node)) return {};
    std::int64_t bits = 0;
    std::optional<std::vector<Rational>> operands = values(node, bound, bits);
    if (!operands || !budget_.spend(cost_of(bits))) return {};
    std::optional<Rational> result = combined(node, *operands);
    return result && fits(*result) ? std::move(result) : std::nullopt;
  }

 private:
  static bool is_rational_operation(const Node& node) {
    switch (node.kind) {
      case Kind::add:
      case Kind::negate:
      case Kind::multiply:
      case Kind::divide:
      case Kind::power:
      case Kind::root:
      case Kind::percent:
      case Kind::factorial:
      case Kind::binomial:
      case Kind::modulo:
      case Kind::log:
        return true;
      case Kind::function:
        for (const std::string_view name :
             {"abs", "floor", "ceil", "gcd", "lcm", "max", "min", "sgn", "Re", "conj"}) {
          if (node.text == name) return true;
        }
        return false;
      default:
        return false;
    }
  }

  // Of all children; `bits` becomes the size of the largest.
  std::optional<std::vector<Rational>> values(const Node& node, const Binding* bound,
                                              std::int64_t& bits) {
    std::vector<Rational> result;
    result.reserve(node.children.size());
    for (const NodeId child : node.children) {
      std::optional<Rational> operand = value(child, bound);
      if (!operand) return {};
      bits = std::max(bits, bits_of(*operand));
      result.push_back(std::move(*operand));
    }
    return result;
  }

  std::optional<Rational> combined(const Node& node, const std::vector<Rational>& x) {
    Rational result;
    switch (node.kind) {
      case Kind::add:
        for (const Rational& term : x) {
          fmpq_add(result.get(), result.get(), term.get());
          if (!fits(result)) return {};
        }
        return result;
      case Kind::multiply:
        fmpq_one(result.get());
        for (const Rational& factor : x) {
          fmpq_mul(result.get(), result.get(), factor.get());
          if (!fits(result)) return {};
        }
        return result;
      case Kind::negate:
        fmpq_neg(result.get(), x[0].get());
        return result;
      case Kind::percent:
        fmpq_set_si(result.get(), 1, 100);
        fmpq_mul(result.get(), result.get(), x[0].get());
        return result;
      case Kind::divide:
        if (fmpq_is_zero(x[1].get())) return {};
        fmpq_div(result.get(), x[0].get(), x[1].get());
        return result;
      case Kind::power:
        return power(x[0], x[1]);
      case Kind::root: {
        const std::optional<std::int64_t> index = small_integer(x[0], 64);
        return index && *index >= 2 ? root(*index, x[1]) : std::nullopt;
      }
      case Kind::log:
        return log(x[0], x[1]);
      case Kind::factorial: {
        const auto n = small_integer(x[0], 2000);
        if (!n || *n < 0 || !budget_.spend(*n * 20)) return {};
        fmpz_fac_ui(fmpq_numref(result.get()), static_cast<ulong>(*n));
        return result;
      }
      case Kind::binomial: {
        const auto n = small_integer(x[0], 4000);
        const auto k = small_integer(x[1], 4000);
        if (!n || !k || *n < 0 || *k < 0 || !budget_.spend(*n * 5)) return {};
        fmpz_bin_uiui(fmpq_numref(result.get()), static_cast<ulong>(*n), static_cast<ulong>(*k));
        return result;
      }
      case Kind::modulo:
        if (fmpq_is_zero(x[1].get())) return {};
        fmpq_div(result.get(), x[0].get(), x[1].get());
        result = rounded(result, fmpz_fdiv_q);
        fmpq_mul(result.get(), result.get(), x[1].get());
        fmpq_sub(result.get(), x[0].get(), result.get());
        return result;
      case Kind::function:
        return function(node.text, x);
      default:
        return {};
    }
  }

  static Rational rounded(const Rational& x, void (*quotient)(fmpz_t, const fmpz_t, const fmpz_t)) {
    Rational result;
    quotient(fmpq_numref(result.get()), fmpq_numref(x.get()), fmpq_denref(x.get()));
    return result;
  }

  std::optional<Rational> function(const std::string& name, const std::vector<Rational>& x) {
    if (name == "gcd" || name == "lcm") return common(x, name == "lcm");
    if (name == "max" || name == "min") {
      const auto is_less = [](const Rational& a, const Rational& b) {
        return fmpq_cmp(a.get(), b.get()) < 0;
      };
      return name == "max" ? *std::max_element(x.begin(), x.end(), is_less)
                           : *std::min_element(x.begin(), x.end(), is_less);
    }
    if (name == "floor") return rounded(x[0], fmpz_fdiv_q);
    if (name == "ceil") return rounded(x[0], fmpz_cdiv_q);
    if (name == "Re" || name == "conj") return x[0];
    Rational result;
    if (name == "abs") {
      fmpq_abs(result.get(), x[0].get());
    } else {
      fmpq_set_si(result.get(), fmpq_sgn(x[0].get()), 1);
    }
    return result;
  }

  // gcd(a/b, c/d) = gcd(a, c) / lcm(b, d): the largest number of which all are whole multiples; and
  // the least positive one that is a whole multiple of all.
  std::optional<Rational> common(const std::vector<Rational>& x, bool multiple) {
    Rational result;
    fmpq_abs(result.get(), x[0].get());
    fmpz* above = fmpq_numref(result.get());
    fmpz* below = fmpq_denref(result.get());
    for (const Rational& next : x) {
      (multiple ? fmpz_lcm : fmpz_gcd)(above, above, fmpq_numref(next.get()));
      (multiple ? fmpz_gcd : fmpz_lcm)(below, below, fmpq_denref(next.get()));
      if (!fits(result) || !budget_.spend(cost_of(bits_of(result)))) return {};
    }
    fmpq_canonicalise(result.get());
    return result;
  }

  std::optional<Rational> power(const Rational& base, const Rational& exponent) {
    if (!is_integer(exponent)) return rational_power(base, exponent);
    const std::optional<std::int64_t> n = small_integer(exponent, kMaxBits);
    if (!n || (*n <= 0 && fmpq_is_zero(base.get()))) return {};
    const std::int64_t bits = bits_of(base) * std::max<std::int64_t>(1, std::abs(*n));
    if (bits > kMaxBits || !budget_.spend(cost_of(bits))) return {};
    Rational result;
    fmpq_pow_si(result.get(), base.get(), *n);
    return result;
  }

  // a^n mod m of whole numbers, without a^n.
  std::optional<Rational> rest_of_power(const Node& node, const Binding* bound) {
    const Node& above = expression_.at(node.children[0]);
    if (above.kind != Kind::power) return {};
    const std::optional<Rational> exponent = value(above.children[1], bound);
    if (!exponent || !is_integer(*exponent) || fmpq_sgn(exponent->get()) <= 0) return {};
    const std::optional<Rational> base = value(above.children[0], bound);
    const std::optional<Rational> modulus = base ? value(node.children[1], bound) : std::nullopt;
    if (!modulus || !is_integer(*base) || !is_integer(*modulus) || fmpq_sgn(modulus->get()) <= 0) {
      return {};
    }
    const std::int64_t products = 2 * bits_of(*exponent);
    if (!budget_.spend(products * cost_of(bits_of(*modulus)) + cost_of(bits_of(*base)))) return {};
    Rational result;
    fmpz_powm(fmpq_numref(result.get()), fmpq_numref(base->get()), fmpq_numref(exponent->get()),
              fmpq_numref(modulus->get()));
    return result;
  }

  // 8^{2/3} = 4.
  std::optional<Rational> rational_power(const Rational& base, const Rational& exponent) {
    Rational above, below;
    fmpz_set(fmpq_numref(above.get()), fmpq_numref(exponent.get()));
    fmpz_set(fmpq_numref(below.get()), fmpq_denref(exponent.get()));
    const std::optional<std::int64_t> index = small_integer(below, 64);
    if (!index) return {};
    const std::optional<Rational> base_root = root(*index, base);
    return base_root ? power(*base_root, above) : std::nullopt;
  }

  // Roots that come out: \sqrt{9/4}, \sqrt[3]{-8}.
  std::optional<Rational> root(std::int64_t index, const Rational& radicand) {
    if (fmpq_sgn(radicand.get()) < 0 && index % 2 == 0) return {};
    if (!budget_.spend(4 * cost_of(bits_of(radicand)))) return {};
    Rational result;
    const bool comes_out =
        fmpz_root(fmpq_numref(result.get()), fmpq_numref(radicand.get()), index) != 0 &&
        fmpz_root(fmpq_denref(result.get()), fmpq_denref(radicand.get()), index) != 0;
    return comes_out ? std::optional(result) : std::nullopt;
  }

  // Logarithms of whole powers of the base.
  std::optional<Rational> log(const Rational& base, const Rational& x) {
    if (fmpq_sgn(base.get()) <= 0 || fmpq_sgn(x.get()) <= 0 || fmpq_is_one(base.get())) return {};
    const double of_x = fmpz_dlog(fmpq_numref(x.get())) - fmpz_dlog(fmpq_denref(x.get()));
    const double of_base = fmpz_dlog(fmpq_numref(base.get())) - fmpz_dlog(fmpq_denref(base.get()));
    const double quotient = of_x / of_base;
    if (!(quotient < static_cast<double>(kMaxBits) && quotient > -static_cast<double>(kMaxBits))) {
      return {};
    }
    Rational exponent;
    fmpq_set_si(exponent.get(), static_cast<slong>(quotient + (quotient < 0 ? -0.5 : 0.5)), 1);
    const std::optional<Rational> back = power(base, exponent);
    return back && fmpq_equal(back->get(), x.get()) ? std::optional(exponent) : std::nullopt;
  }

  std::optional<Rational> over_index(const Node& node, const Binding* bound) {
    const std::optional<Rational> low = value(node.children[0], bound);
    const std::optional<Rational> high = low ? value(node.children[1], bound) : std::nullopt;
    if (!high || !is_integer(*low)) return {};
    Rational result, span;
    fmpq_sub(span.get(), high->get(), low->get());
    const std::optional<std::int64_t> last = small_integer(span, kMaxTerms);
    if (!last) return {};
    const bool is_sum = node.kind == Kind::sum_over;
    if (!is_sum) fmpq_one(result.get());
    Rational index = *low;
    const Binding binding{.name = node.text, .value = nullptr, .exact = &index, .outer = bound};
    for (std::int64_t i = 0; i <= *last; ++i) {
      const std::optional<Rational> term = value(node.children[2], &binding);
      if (!term || !budget_.spend(cost_of(bits_of(result)))) return {};
      (is_sum ? fmpq_add : fmpq_mul)(result.get(), result.get(), term->get());
      if (!fits(result)) return {};
      fmpq_add_si(index.get(), index.get(), 1);
    }
    return result;
  }

  std::optional<Rational> determinant(const Node& matrix, const Binding* bound) {
    std::int64_t bits = 0;
    const std::optional<std::vector<Rational>> cells = values(matrix, bound, bits);
    const auto size = static_cast<std::int64_t>(matrix.children.size());
    if (!cells || !budget_.spend(size * size * cost_of(bits))) return {};
    const slong columns = std::stol(matrix.text);
    fmpq_mat_t rows;
    fmpq_mat_init(rows, columns, columns);
    for (slong i = 0; i < columns * columns; ++i) {
      fmpq_set(fmpq_mat_entry(rows, i / columns, i % columns),
               (*cells)[static_cast<std::size_t>(i)].get());
    }
    Rational result;
    fmpq_mat_det(result.get(), rows);
    fmpq_mat_clear(rows);
    return result;
  }

  const Expression& expression_;
  Budget& budget_;
};

}  // namespace

std::optional<Rational> literal_value(std::string_view text) {
  const std::size_t point = text.find('.');
  std::string digits(text);
  std::size_t decimals = 0;
  if (point != std::string::npos) {
    digits.erase(point, 1);
    decimals = text.size() - point - 1;
  }
  if (digits.empty() || static_cast<std::int64_t>(digits.size()) * 4 > kMaxBits) {
    return std::nullopt;
  }
  Rational result;
  if (fmpz_set_str(fmpq_numref(result.get()), digits.c_str(), 10) != 0) return std::nullopt;
  if (decimals > 0) {
    fmpz_set_ui(fmpq_denref(result.get()), 10);
    fmpz_pow_ui(fmpq_denref(result.get()), fmpq_denref(result.get()), decimals);
    fmpq_canonicalise(result.get());
  }
  return result;
}

const Binding* find_binding(const Binding* innermost, std::string_view name) {
  while (innermost != nullptr && innermost->name != name) innermost = innermost->outer;
  return innermost;
}

bool has_broken_symbol(const Expression& expression, NodeId id, const Binding* bound) {
  return any_below(expression, id, [bound](const Node& node) {
    if (node.kind != Kind::symbol) return false;
    const Binding* binding = find_binding(bound, node.text);
    return binding == nullptr || binding->exact == nullptr || !is_integer(*binding->exact);
  });
}

std::optional<Rational> exact_value(const Expression& expression, NodeId id, Budget& budget,
                                    const Binding* bound) {
  return Exact(expression, budget).value(id, bound);
}

}  // namespace zeroth::math
