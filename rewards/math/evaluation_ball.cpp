// Values in balls.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <acb_hypgeom.h>
#include <acb_mat.h>

#include "rewards/math/evaluation.h"

namespace zeroth::math {
namespace {

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

// A function of one complex number.
struct Function {
  std::string_view name;
  void (*of)(acb_t, const acb_t, slong);
};

template <auto F>
void of_inverse(acb_t y, const acb_t x, slong bits) {
  acb_inv(y, x, bits);
  F(y, y, bits);
}
template <auto F>
void of_real_part(acb_t y, const acb_t x, slong bits) {
  F(acb_realref(y), acb_realref(x), bits);
  arb_zero(acb_imagref(y));
}
void absolute(acb_t y, const acb_t x, slong bits) {
  acb_abs(acb_realref(y), x, bits);
  arb_zero(acb_imagref(y));
}
void argument(acb_t y, const acb_t x, slong bits) {
  acb_arg(acb_realref(y), x, bits);
  arb_zero(acb_imagref(y));
}
void imaginary_part(acb_t y, const acb_t x, slong bits) {
  arb_set_round(acb_realref(y), acb_imagref(x), bits);
  arb_zero(acb_imagref(y));
}
void conjugate(acb_t y, const acb_t x, slong) {
  acb_conj(y, x);
}

constexpr auto kFunctions = std::to_array<Function>({
    {"sin", acb_sin},
    {"cos", acb_cos},
    {"tan", acb_tan},
    {"cot", acb_cot},
    {"sec", acb_sec},
    {"csc", acb_csc},
    {"arcsin", acb_asin},
    {"arccos", acb_acos},
    {"arctan", acb_atan},
    {"sinh", acb_sinh},
    {"cosh", acb_cosh},
    {"tanh", acb_tanh},
    {"coth", acb_coth},
    {"sech", acb_sech},
    {"csch", acb_csch},
    {"arcsinh", acb_asinh},
    {"arccosh", acb_acosh},
    {"arctanh", acb_atanh},
    {"exp", acb_exp},
    {"ln", acb_log},
    {"abs", absolute},
    {"Re", of_real_part<arb_set_round>},
    {"Im", imaginary_part},
    {"conj", conjugate},
    {"arg", argument},
    {"sgn", acb_sgn},
    {"floor", of_real_part<arb_floor>},
    {"ceil", of_real_part<arb_ceil>},
    {"arccot", of_inverse<acb_atan>},
    {"arcsec", of_inverse<acb_acos>},
    {"arccsc", of_inverse<acb_asin>},
    {"arccoth", of_inverse<acb_atanh>},
    {"arcsech", of_inverse<acb_acosh>},
    {"arccsch", of_inverse<acb_asinh>},
});

constexpr slong kMaxTerms = 10'000;  // of a sum or product over an index

class Balls {
 public:
  Balls(const Expression& expression, const Point& point, std::int64_t bits, Budget& budget)
      : expression_(expression), point_(point), bound_(point.bound), bits_(bits), budget_(budget) {}

  bool value(Ball& out, NodeId id) {
    const Node& node = expression_.at(id);
    const bool is_leaf = node.children.empty();
    if (!budget_.spend(is_leaf ? 100 : cost_of(node.kind))) return false;
    if (is_leaf) return leaf(out, node) && acb_is_finite(out.get());
    switch (node.kind) {
      case Kind::sum_over:
      case Kind::product_over:
        return over_index(out, node);
      case Kind::piecewise:
        return piecewise(out, node);
      case Kind::function:
        if (node.text == "det") return determinant(out, expression_.at(node.children[0]));
        if (node.text == "gcd" || node.text == "lcm") return rational(out, id);
        break;
      default:
        break;
    }
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
      const std::optional<Rational> exact = literal_value(node.text);
      if (!exact) return false;
      acb_set_fmpq(out.get(), exact->get(), bits_);
      return true;
    }
    if (node.kind == Kind::symbol) {
      if (const Binding* binding = find_binding(bound_, node.text))
        return bound_value(out, *binding);
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

  bool bound_value(Ball& out, const Binding& binding) {
    if (binding.exact != nullptr) {
      acb_set_fmpq(out.get(), binding.exact->get(), bits_);
    } else {
      out = *binding.value;
    }
    return true;
  }

  bool rational(Ball& out, NodeId id) {
    const std::optional<Rational> value = exact(id);
    if (value) acb_set_fmpq(out.get(), value->get(), bits_);
    return value.has_value();
  }

  std::optional<Rational> exact(NodeId id) { return exact_value(expression_, id, budget_, bound_); }

  // One term after the other where the ends are whole numbers. Where the term does not depend on
  // the index, n times or to the n-th.
  bool over_index(Ball& out, const Node& node) {
    const bool is_sum = node.kind == Kind::sum_over;
    const std::optional<Rational> low = exact(node.children[0]);
    const std::optional<Rational> high = low ? exact(node.children[1]) : std::nullopt;
    if (!high) return false;
    Rational count;
    fmpq_sub(count.get(), high->get(), low->get());
    fmpq_add_si(count.get(), count.get(), 1);
    const bool is_whole = fmpz_is_one(fmpq_denref(count.get())) != 0;
    if (is_whole && fmpq_sgn(count.get()) <= 0) {
      is_sum ? acb_zero(out.get()) : acb_one(out.get());
      return true;
    }
    if (!depends_on(node.children[2], node.text)) {
      Ball term, times;
      if (!value(term, node.children[2])) return false;
      acb_set_fmpq(times.get(), count.get(), bits_);
      if (!is_sum) return principal_power(out, term, times) && acb_is_finite(out.get());
      acb_mul(out.get(), term.get(), times.get(), bits_);
      return true;
    }
    if (!is_whole || fmpz_cmp_si(fmpq_numref(count.get()), kMaxTerms) > 0) return false;
    is_sum ? acb_zero(out.get()) : acb_one(out.get());
    Rational index = *low;
    const Binding binding{.name = node.text, .value = nullptr, .exact = &index, .outer = bound_};
    const Binding* outside = std::exchange(bound_, &binding);
    bool known = true;
    for (slong i = fmpz_get_si(fmpq_numref(count.get())); known && i > 0; --i) {
      Ball term;
      known = value(term, node.children[2]);
      (is_sum ? acb_add : acb_mul)(out.get(), out.get(), term.get(), bits_);
      fmpq_add_si(index.get(), index.get(), 1);
    }
    bound_ = outside;
    return known && acb_is_finite(out.get());
  }

  bool depends_on(NodeId id, const std::string& name) const {
    return any_below(expression_, id, [&name](const Node& node) {
      return node.kind == Kind::symbol && node.text == name;
    });
  }

  bool determinant(Ball& out, const Node& matrix) {
    const auto cells = static_cast<std::int64_t>(matrix.children.size());
    if (!budget_.spend(cells * cells * cost_of(Kind::multiply))) return false;
    const slong columns = std::stol(matrix.text);
    acb_mat_t rows;
    acb_mat_init(rows, columns, columns);
    bool known = true;
    for (slong i = 0; known && i < columns * columns; ++i) {
      Ball cell;
      known = value(cell, matrix.children[static_cast<std::size_t>(i)]);
      acb_set(acb_mat_entry(rows, i / columns, i % columns), cell.get());
    }
    if (known) acb_mat_det(out.get(), rows, bits_);
    acb_mat_clear(rows);
    return known && acb_is_finite(out.get());
  }

  // The value at the first condition that holds, if all before it fail for certain.
  bool piecewise(Ball& out, const Node& node) {
    for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const std::optional<bool> holds = condition(node.children[i + 1]);
      if (!holds) return false;
      if (*holds) return value(out, node.children[i]);
    }
    return node.children.size() % 2 == 1 && value(out, node.children.back());
  }

  std::optional<bool> condition(NodeId id) {
    const Node& node = expression_.at(id);
    if (node.kind == Kind::words) return true;  // otherwise
    if (node.kind != Kind::relation) return std::nullopt;
    if (node.text == "chain") {
      for (const NodeId link : node.children) {
        const std::optional<bool> holds = condition(link);
        if (!holds || !*holds) return holds;
      }
      return true;
    }
    Ball difference, right;
    if (!value(difference, node.children[0]) || !value(right, node.children[1])) return {};
    acb_sub(difference.get(), difference.get(), right.get(), bits_);
    if (acb_is_zero(difference.get())) {
      return node.text == "=" || node.text == "<=" || node.text == ">=";
    }
    if (acb_contains_zero(difference.get())) return {};
    if (node.text == "=" || node.text == "!=") return node.text == "!=";
    if (!acb_is_real(difference.get())) return {};
    return arb_is_negative(difference.real()) == (node.text[0] == '<');
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
        return function(out, node, x);
      case Kind::modulo:
        return modulo(out, x[0], x[1]);
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
    const std::optional<Rational> exact = this->exact(id);
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
    const std::optional<Rational> exact = this->exact(exponent_id);
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

  bool function(Ball& out, const Node& node, const std::vector<Ball>& x) {
    if (x.size() != 1 || node.text == "max" || node.text == "min") return extreme(out, node, x);
    if (!is_below(x[0], kMaxExponentBits)) return false;
    for (const Function& function : kFunctions) {
      if (function.name != node.text) continue;
      function.of(out.get(), x[0].get(), bits_);
      return true;
    }
    return false;
  }

  // max and min of real numbers.
  bool extreme(Ball& out, const Node& node, const std::vector<Ball>& x) {
    const bool is_max = node.text == "max";
    if (!is_max && node.text != "min") return false;
    if (!std::all_of(x.begin(), x.end(), [](const Ball& b) { return acb_is_real(b.get()); })) {
      return false;
    }
    out = x[0];
    for (const Ball& next : x) {
      (is_max ? arb_max : arb_min)(out.real(), out.real(), next.real(), bits_);
    }
    return true;
  }

  // Of real numbers, and where no multiple of b is near a.
  bool modulo(Ball& out, const Ball& a, const Ball& b) {
    if (!acb_is_real(a.get()) || !acb_is_real(b.get()) || arb_contains_zero(b.real())) return false;
    arb_div(out.real(), a.real(), b.real(), bits_);
    arb_floor(out.real(), out.real(), bits_);
    arb_mul(out.real(), out.real(), b.real(), bits_);
    arb_sub(out.real(), a.real(), out.real(), bits_);
    return true;
  }

  const Expression& expression_;
  const Point& point_;
  const Binding* bound_;
  const std::int64_t bits_;
  Budget& budget_;
};

}  // namespace

std::optional<Ball> ball_value(const Expression& expression, NodeId id, const Point& point,
                               std::int64_t bits, Budget& budget) {
  Ball result;
  if (!Balls(expression, point, bits, budget).value(result, id)) return std::nullopt;
  return result;
}

const Node* free_symbol(const Expression& expression, NodeId id, const Binding* bound) {
  const Node& node = expression.at(id);
  if (node.kind == Kind::symbol) {
    return find_binding(bound, node.text) == nullptr ? &node : nullptr;
  }
  const Binding own{.name = node.text, .value = nullptr, .exact = nullptr, .outer = bound};
  for (const NodeId child : node.children) {
    const bool within = binds_its_variable(node) && child == body_of(node);
    const Node* found = free_symbol(expression, child, within ? &own : bound);
    if (found != nullptr) return found;
  }
  return nullptr;
}

bool has_symbol(const Expression& expression, NodeId id) {
  return free_symbol(expression, id) != nullptr;
}

bool has_plus_minus(const Expression& expression, NodeId id) {
  return any_below(expression, id, [](const Node& node) { return node.kind == Kind::plus_minus; });
}

}  // namespace zeroth::math
