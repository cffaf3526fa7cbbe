#include "rewards/math/evaluation.h"

#include <algorithm>
#include <string>

#include <acb_hypgeom.h>

namespace zeroth::math {
namespace {

// ---- Exact ------------------------------------------------------------------------------------

std::int64_t bits_of(const Rational& x) {
  return static_cast<std::int64_t>(
      std::max(fmpz_bits(fmpq_numref(x.get())), fmpz_bits(fmpq_denref(x.get()))));
}

// Words of the larger of both, squared: no operation here costs more.
std::int64_t cost_of(std::int64_t bits) {
  const std::int64_t words = 1 + bits / 64;
  return 50 + words * words;
}

std::optional<Rational> literal(const std::string& text) {
  const std::size_t point = text.find('.');
  std::string digits = text;
  std::size_t decimals = 0;
  if (point != std::string::npos) {
    digits.erase(point, 1);
    decimals = text.size() - point - 1;
  }
  if (digits.empty() || static_cast<std::int64_t>(digits.size()) * 4 > kMaxBits) {
    return std::nullopt;
  }
  Rational result;
  fmpz_set_str(fmpq_numref(result.get()), digits.c_str(), 10);
  if (decimals > 0) {
    fmpz_set_ui(fmpq_denref(result.get()), 10);
    fmpz_pow_ui(fmpq_denref(result.get()), fmpq_denref(result.get()), decimals);
    fmpq_canonicalise(result.get());
  }
  return result;
}

// x as a whole number of at most `limit` in size.
std::optional<std::int64_t> small_integer(const Rational& x, std::int64_t limit) {
  if (!fmpz_is_one(fmpq_denref(x.get())) || !fmpz_fits_si(fmpq_numref(x.get()))) {
    return std::nullopt;
  }
  const std::int64_t value = fmpz_get_si(fmpq_numref(x.get()));
  if (value > limit || value < -limit) return std::nullopt;
  return value;
}

class Exact {
 public:
  Exact(const Expression& expression, Budget& budget) : expression_(expression), budget_(budget) {}

  std::optional<Rational> value(NodeId id) {
    const Node& node = expression_.at(id);
    if (node.kind == Kind::number) {
      if (!budget_.spend(cost_of(static_cast<std::int64_t>(node.text.size()) * 4))) return {};
      return literal(node.text);
    }
    if (!is_rational_operation(node)) return {};
    std::vector<Rational> operands;
    std::int64_t bits = 0;
    for (const NodeId child : node.children) {
      std::optional<Rational> operand = value(child);
      if (!operand) return {};
      bits = std::max(bits, bits_of(*operand));
      operands.push_back(std::move(*operand));
    }
    if (!budget_.spend(cost_of(bits))) return {};
    return combined(node, operands);
  }

 private:
  static bool is_rational_operation(const Node& node) {
    switch (node.kind) {
      case Kind::add:
      case Kind::negate:
      case Kind::multiply:
      case Kind::divide:
      case Kind::power:
      case Kind::percent:
      case Kind::factorial:
      case Kind::binomial:
        return true;
      case Kind::root:
        return true;
      case Kind::function:
        return node.text == "abs" || node.text == "floor" || node.text == "ceil";
      default:
        return false;
    }
  }

  std::optional<Rational> combined(const Node& node, std::vector<Rational>& x) {
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
        break;
      case Kind::divide:
        if (fmpq_is_zero(x[1].get())) return {};
        fmpq_div(result.get(), x[0].get(), x[1].get());
        return fits(result) ? std::optional(result) : std::nullopt;
      case Kind::power:
        return power(x[0], x[1]);
      case Kind::root:
        return root(x[0], x[1]);
      case Kind::factorial: {
        const auto n = small_integer(x[0], 2000);
        if (!n || *n < 0) return {};
        fmpz_fac_ui(fmpq_numref(result.get()), static_cast<ulong>(*n));
        return result;
      }
      case Kind::binomial: {
        const auto n = small_integer(x[0], 4000);
        const auto k = small_integer(x[1], 4000);
        if (!n || !k || *n < 0 || *k < 0) return {};
        fmpz_bin_uiui(fmpq_numref(result.get()), static_cast<ulong>(*n), static_cast<ulong>(*k));
        return result;
      }
      case Kind::function:
        return rounded(node.text, x[0]);
      default:
        return {};
    }
    fmpq_mul(result.get(), result.get(), x[0].get());  // percent
    return result;
  }

  std::optional<Rational> rounded(const std::string& function, const Rational& x) {
    Rational result;
    if (function == "abs") {
      fmpq_abs(result.get(), x.get());
    } else if (function == "floor") {
      fmpz_fdiv_q(fmpq_numref(result.get()), fmpq_numref(x.get()), fmpq_denref(x.get()));
    } else {
      fmpz_cdiv_q(fmpq_numref(result.get()), fmpq_numref(x.get()), fmpq_denref(x.get()));
    }
    return result;
  }

  // Whole exponents only.
  std::optional<Rational> power(const Rational& base, const Rational& exponent) {
    const std::optional<std::int64_t> n = small_integer(exponent, kMaxBits);
    if (!n || (*n <= 0 && fmpq_is_zero(base.get()))) return {};
    const std::int64_t bits = bits_of(base) * std::max<std::int64_t>(1, std::abs(*n));
    if (bits > kMaxBits || !budget_.spend(cost_of(bits))) return {};
    Rational result;
    fmpq_pow_si(result.get(), base.get(), *n);
    return result;
  }

  // Roots that come out: \sqrt{9/4}, \sqrt[3]{-8}.
  std::optional<Rational> root(const Rational& index, const Rational& radicand) {
    const std::optional<std::int64_t> n = small_integer(index, 64);
    if (!n || *n < 2) return {};
    if (fmpq_sgn(radicand.get()) < 0 && *n % 2 == 0) return {};
    if (!budget_.spend(4 * cost_of(bits_of(radicand)))) return {};
    Rational result;
    const bool comes_out =
        fmpz_root(fmpq_numref(result.get()), fmpq_numref(radicand.get()), *n) != 0 &&
        fmpz_root(fmpq_denref(result.get()), fmpq_denref(radicand.get()), *n) != 0;
    return comes_out ? std::optional(result) : std::nullopt;
  }

  static bool fits(const Rational& x) { return bits_of(x) <= kMaxBits; }

  const Expression& expression_;
  Budget& budget_;
};

// ---- Balls ------------------------------------------------------------------------------------

// Exponents of 2 beyond which exponentials, powers and gamma functions are not computed.
constexpr std::int64_t kMaxExponentBits = 24;

// Whether |x| < 2^bits for certain.
bool is_below(const Ball& x, std::int64_t bits) {
  arf_t bound;
  arf_init(bound);
  acb_get_abs_ubound_arf(bound, x.get(), 32);
  const bool below = arf_is_finite(bound) && arf_cmpabs_2exp_si(bound, bits) < 0;
  arf_clear(bound);
  return below;
}

// FNV-1a.
std::uint64_t hash_of(const std::string& text, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash ^ (hash >> 29);
}

class Balls {
 public:
  Balls(const Expression& expression, const Point& point, std::int64_t bits, Budget& budget)
      : expression_(expression), point_(point), bits_(bits), budget_(budget) {}

  bool value(Ball& out, NodeId id) {
    const Node& node = expression_.at(id);
    const bool is_leaf = node.children.empty();
    if (!budget_.spend(is_leaf ? 100 : cost_of(node.kind))) return false;
    if (is_leaf) return leaf(out, node);
    std::vector<Ball> x(node.children.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!value(x[i], node.children[i])) return false;
    }
    return combined(out, node, x) && acb_is_finite(out.get());
  }

 private:
  std::int64_t cost_of(Kind kind) const {
    const std::int64_t words = 1 + bits_ / 64;
    switch (kind) {
      case Kind::add:
      case Kind::multiply:
      case Kind::negate:
      case Kind::divide:
        return 50 + words * words;
      case Kind::power:
        return 500 + 20 * words * words;  // of a whole exponent
      default:
        return transcendental_cost();
    }
  }
  std::int64_t transcendental_cost() const {
    const std::int64_t words = 1 + bits_ / 64;
    return 2000 + 200 * words * words;
  }

  bool leaf(Ball& out, const Node& node) {
    if (node.kind == Kind::number) {
      const std::optional<Rational> exact = literal(node.text);
      if (!exact) return false;
      acb_set_fmpq(out.get(), exact->get(), bits_);
      return true;
    }
    if (node.kind == Kind::symbol) {
      // A rational of 20 bits between 1/4 and 9/4.
      const std::uint64_t hash = hash_of(node.text, static_cast<std::uint64_t>(point_.number));
      const std::int64_t numerator = 262144 + static_cast<std::int64_t>(hash % 2097152);
      const bool negative = point_.number > 0 && ((hash >> 40) & 1) != 0;
      acb_set_si(out.get(), negative ? -numerator : numerator);
      acb_mul_2exp_si(out.get(), out.get(), -20);
      return true;
    }
    if (node.kind != Kind::constant) return false;
    if (node.text == "pi") {
      acb_const_pi(out.get(), bits_);
    } else if (node.text == "e") {
      acb_set_si(out.get(), 1);
      acb_exp(out.get(), out.get(), bits_);
    } else if (node.text == "i") {
      acb_onei(out.get());
    } else {
      return false;  // infinity is no number
    }
    return true;
  }

  bool combined(Ball& out, const Node& node, std::vector<Ball>& x) {
    switch (node.kind) {
      case Kind::add:
        for (const Ball& term : x) acb_add(out.get(), out.get(), term.get(), bits_);
        return true;
      case Kind::multiply:
        acb_one(out.get());
        for (const Ball& factor : x) acb_mul(out.get(), out.get(), factor.get(), bits_);
        return true;
      case Kind::negate:
        acb_neg(out.get(), x[0].get());
        return true;
      case Kind::plus_minus: {
        const int sign = node.text == "-" ? -point_.sign : point_.sign;
        acb_mul_si(out.get(), x[0].get(), sign, bits_);
        return true;
      }
      case Kind::divide:
        if (acb_contains_zero(x[1].get())) return false;
        acb_div(out.get(), x[0].get(), x[1].get(), bits_);
        return true;
      case Kind::percent:
        acb_div_si(out.get(), x[0].get(), 100, bits_);
        return true;
      case Kind::degree:
        acb_const_pi(out.get(), bits_);
        acb_mul(out.get(), out.get(), x[0].get(), bits_);
        acb_div_si(out.get(), out.get(), 180, bits_);
        return true;
      case Kind::power:
        return power(out, x[0], x[1], node.children[1]);
      case Kind::root: {
        if (acb_contains_zero(x[0].get())) return false;
        acb_inv(out.get(), x[0].get(), bits_);
        return real_root(out, x[1], out, odd_integer(node.children[0]));
      }
      case Kind::function:
        return function(out, node.text, x[0]);
      case Kind::log:
        return log_to_base(out, x[0], x[1]);
      case Kind::factorial:
        acb_add_si(out.get(), x[0].get(), 1, bits_);
        return gamma(out);
      case Kind::binomial:
        return binomial(out, x[0], x[1]);
      default:
        return false;
    }
  }

  // Whether a node is a whole odd number.
  bool odd_integer(NodeId id) {
    const std::optional<Rational> exact = exact_value(expression_, id, budget_);
    return exact && fmpz_is_one(fmpq_denref(exact->get())) &&
           fmpz_is_odd(fmpq_numref(exact->get()));
  }

  static bool is_negative_real(const Ball& x) {
    return acb_is_real(x.get()) && arb_is_negative(x.real());
  }

  // base^exponent for a root: of a negative base under an odd index, the real one.
  bool real_root(Ball& out, const Ball& base, const Ball& exponent, bool is_odd) {
    Ball result;
    if (is_odd && is_negative_real(base)) {
      Ball positive;
      acb_neg(positive.get(), base.get());
      if (!principal_power(result, positive, exponent)) return false;
      acb_neg(out.get(), result.get());
      return true;
    }
    if (!principal_power(result, base, exponent)) return false;
    out = std::move(result);
    return true;
  }

  bool power(Ball& out, const Ball& base, const Ball& exponent, NodeId exponent_id) {
    const std::optional<Rational> exact = exact_value(expression_, exponent_id, budget_);
    if (exact && fmpz_is_one(fmpq_denref(exact->get()))) {
      if (fmpz_bits(fmpq_numref(exact->get())) > kMaxExponentBits) return false;
      // x^-n of 0 is not finite, and refused as such.
      acb_pow_fmpz(out.get(), base.get(), fmpq_numref(exact->get()), bits_);
      return true;
    }
    const bool odd_denominator = exact && fmpz_is_odd(fmpq_denref(exact->get()));
    if (odd_denominator && is_negative_real(base)) {
      Ball positive;
      acb_neg(positive.get(), base.get());
      if (!principal_power(out, positive, exponent)) return false;
      if (fmpz_is_odd(fmpq_numref(exact->get()))) acb_neg(out.get(), out.get());
      return true;
    }
    return principal_power(out, base, exponent);
  }

  bool principal_power(Ball& out, const Ball& base, const Ball& exponent) {
    if (acb_is_zero(base.get())) {
      acb_zero(out.get());
      return arb_is_positive(exponent.real());
    }
    if (!budget_.spend(transcendental_cost())) return false;
    Ball logarithm;
    acb_log(logarithm.get(), base.get(), bits_);
    acb_mul(logarithm.get(), logarithm.get(), exponent.get(), bits_);
    if (!is_below(logarithm, kMaxExponentBits)) return false;
    acb_pow(out.get(), base.get(), exponent.get(), bits_);
    return true;
  }

  bool log_to_base(Ball& out, const Ball& base, const Ball& x) {
    Ball below;
    acb_log(out.get(), x.get(), bits_);
    acb_log(below.get(), base.get(), bits_);
    if (acb_contains_zero(below.get())) return false;
    acb_div(out.get(), out.get(), below.get(), bits_);
    return true;
  }

  bool gamma(Ball& x) {
    if (!is_below(x, kMaxExponentBits)) return false;
    acb_gamma(x.get(), x.get(), bits_);
    return true;
  }

  // Γ(n+1) / (Γ(k+1) Γ(n-k+1))
  bool binomial(Ball& out, const Ball& n, const Ball& k) {
    Ball rest, above, below;
    acb_sub(rest.get(), n.get(), k.get(), bits_);
    acb_add_si(rest.get(), rest.get(), 1, bits_);
    acb_add_si(above.get(), n.get(), 1, bits_);
    acb_add_si(below.get(), k.get(), 1, bits_);
    if (!gamma(above) || !is_below(below, kMaxExponentBits) || !is_below(rest, kMaxExponentBits)) {
      return false;
    }
    acb_rgamma(below.get(), below.get(), bits_);
    acb_rgamma(rest.get(), rest.get(), bits_);
    acb_mul(out.get(), above.get(), below.get(), bits_);
    acb_mul(out.get(), out.get(), rest.get(), bits_);
    return true;
  }

  bool function(Ball& out, const std::string& name, const Ball& x) {
    if (!is_below(x, kMaxExponentBits)) return false;
    acb_struct* y = out.get();
    if (name == "sin")
      acb_sin(y, x.get(), bits_);
    else if (name == "cos")
      acb_cos(y, x.get(), bits_);
    else if (name == "tan")
      acb_tan(y, x.get(), bits_);
    else if (name == "cot")
      acb_cot(y, x.get(), bits_);
    else if (name == "sec")
      acb_sec(y, x.get(), bits_);
    else if (name == "csc")
      acb_csc(y, x.get(), bits_);
    else if (name == "arcsin")
      acb_asin(y, x.get(), bits_);
    else if (name == "arccos")
      acb_acos(y, x.get(), bits_);
    else if (name == "arctan")
      acb_atan(y, x.get(), bits_);
    else if (name == "sinh")
      acb_sinh(y, x.get(), bits_);
    else if (name == "cosh")
      acb_cosh(y, x.get(), bits_);
    else if (name == "tanh")
      acb_tanh(y, x.get(), bits_);
    else if (name == "exp")
      acb_exp(y, x.get(), bits_);
    else if (name == "ln")
      acb_log(y, x.get(), bits_);
    else if (name == "abs") {
      Ball result;
      acb_abs(result.real(), x.get(), bits_);
      out = std::move(result);
    } else if (name == "floor")
      arb_floor(out.real(), x.real(), bits_);
    else if (name == "ceil")
      arb_ceil(out.real(), x.real(), bits_);
    else
      return false;
    return true;
  }

  const Expression& expression_;
  const Point& point_;
  const std::int64_t bits_;
  Budget& budget_;
};

}  // namespace

std::optional<Rational> exact_value(const Expression& expression, NodeId id, Budget& budget) {
  return Exact(expression, budget).value(id);
}

std::optional<Ball> ball_value(const Expression& expression, NodeId id, const Point& point,
                               std::int64_t bits, Budget& budget) {
  Ball result;
  if (!Balls(expression, point, bits, budget).value(result, id)) return std::nullopt;
  return result;
}

bool has_symbol(const Expression& expression, NodeId id) {
  return any_below(expression, id, [](const Node& node) { return node.kind == Kind::symbol; });
}

bool has_plus_minus(const Expression& expression, NodeId id) {
  return any_below(expression, id, [](const Node& node) { return node.kind == Kind::plus_minus; });
}

}  // namespace zeroth::math
