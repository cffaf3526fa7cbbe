#include "rewards/math/expansion.h"

#include <algorithm>

namespace zeroth::math {
namespace {

constexpr flint_bitcnt_t kMaxExponentSize =
    10;  // bits of the exponent of what depends on the variable

void inverse_series(acb_poly_struct* out, const acb_poly_struct* x, slong terms, slong bits) {
  acb_poly_inv_series(out, x, terms, bits);
}

Ball whole(slong value) {
  Ball result;
  acb_set_si(result.get(), value);
  return result;
}

std::optional<slong> small(const fmpz* x) {
  if (fmpz_bits(x) > kMaxExponentSize) return std::nullopt;
  return fmpz_get_si(x);
}

}  // namespace

bool Expansion::of(Series& out, NodeId id) {
  if (!balls_.spend_products(variable_.terms * variable_.terms)) return false;
  const Node& node = expression_.at(id);
  if (node.kind == Kind::symbol && node.text == name_) {
    out = variable_;
    return true;
  }
  if (!balls_.depends_on(id, name_)) {
    Ball value;
    if (!balls_.value(value, id)) return false;
    out = Series::constant(value, variable_.terms);
    return true;
  }
  switch (node.kind) {
    case Kind::add:
      return added(out, node);
    case Kind::multiply:
      return multiplied(out, node);
    case Kind::negate:
      if (!of(out, node.children[0])) return false;
      acb_poly_neg(out.get(), out.get());
      return true;
    case Kind::percent:
      if (!of(out, node.children[0])) return false;
      return divide(out, out, Series::constant(whole(100), out.terms), bits_);
    case Kind::divide: {
      Series above, below;
      return of(above, node.children[0]) && of(below, node.children[1]) &&
             divide(out, above, below, bits_);
    }
    case Kind::power:
      return power(out, node);
    case Kind::root:
      return root(out, node);
    case Kind::log: {
      Series base, x;
      return of(base, node.children[0]) && of(x, node.children[1]) && logarithm(base, base) &&
             logarithm(x, x) && divide(out, x, base, bits_);
    }
    case Kind::function:
      return function(out, node);
    case Kind::derivative:
      return derivative(out, node);
    default:
      return false;
  }
}

bool Expansion::added(Series& out, const Node& node) {
  if (!of(out, node.children[0])) return false;
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    Series term;
    if (!of(term, node.children[i]) || !add(out, out, term, bits_)) return false;
  }
  return true;
}

bool Expansion::multiplied(Series& out, const Node& node) {
  if (!of(out, node.children[0])) return false;
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    Series factor;
    if (!of(factor, node.children[i]) || !multiply(out, out, factor, bits_)) return false;
  }
  return true;
}

bool Expansion::power(Series& out, const Node& node) {
  const NodeId exponent = node.children[1];
  Series base;
  if (!of(base, node.children[0])) return false;
  if (balls_.depends_on(exponent, name_)) return to_series(out, base, exponent);
  if (const std::optional<Rational> exact = balls_.exact(exponent))
    return raised(out, base, *exact);
  Ball value;
  return balls_.value(value, exponent) && may_take_logarithm(base) &&
         raise(out, base, value, 0, 1, bits_);
}

bool Expansion::root(Series& out, const Node& node) {
  std::optional<Rational> index = balls_.exact(node.children[0]);
  if (!index || fmpq_is_zero(index->get())) return false;
  fmpq_inv(index->get(), index->get());
  Series radicand;
  return of(radicand, node.children[1]) && raised(out, radicand, *index);
}

// Under an odd denominator the real power of what is negative.
bool Expansion::raised(Series& out, const Series& base, const Rational& exponent) {
  const std::optional<slong> over = small(fmpq_numref(exponent.get()));
  const std::optional<slong> below = small(fmpq_denref(exponent.get()));
  if (!over || !below || !balls_.spend_functions(1 + base.terms)) return false;
  if (*below == 1) return raise(out, base, *over, bits_);
  Series positive = base;
  if (!normalise(positive, bits_)) return false;
  if (positive.lowest != 0 && !one_sided_) return false;
  const Ball first = positive.coefficient(positive.lowest);
  const bool turned = *below % 2 != 0 && acb_is_real(first.get()) && arb_is_negative(first.real());
  if (turned) acb_poly_neg(positive.get(), positive.get());
  Ball value;
  acb_set_fmpq(value.get(), exponent.get(), bits_);
  if (!may_take_logarithm(positive) || !raise(out, positive, value, *over, *below, bits_)) {
    return false;
  }
  if (turned && *over % 2 != 0) acb_poly_neg(out.get(), out.get());
  return true;
}

// e^x, and a^x as exp(x ln a).
bool Expansion::to_series(Series& out, const Series& base, NodeId exponent) {
  Series power, logarithm_of_base;
  return of(power, exponent) && logarithm(logarithm_of_base, base) &&
         multiply(power, power, logarithm_of_base, bits_) && exponential(out, power);
}

bool Expansion::is_real(const Series& x) const {
  for (slong i = 0; i < acb_poly_length(x.get()); ++i) {
    if (!acb_is_real(acb_poly_get_coeff_ptr(x.get(), i))) return false;
  }
  return true;
}

// Across the cut a logarithm jumps, but not along it.
bool Expansion::may_take_logarithm(const Series& x) const {
  Series first = x;
  if (!normalise(first, bits_)) return false;
  return is_off_the_cut(first.coefficient(first.lowest)) || is_real(first);
}

bool Expansion::logarithm(Series& out, const Series& x) {
  if (!balls_.spend_functions(1 + x.terms)) return false;
  Series argument = x;
  if (!normalise(argument, bits_) || argument.lowest != 0 || !may_take_logarithm(argument)) {
    return false;
  }
  return apply(out, argument, acb_poly_log_series, bits_);
}

// exp of what goes to -∞ goes to 0 faster than any power.
bool Expansion::exponential(Series& out, const Series& x) {
  if (!balls_.spend_functions(1 + x.terms)) return false;
  Series exponent = x;
  if (as_taylor(exponent, bits_)) return apply(out, exponent, acb_poly_exp_series, bits_);
  if (!one_sided_) return false;
  const Ball first = exponent.coefficient(exponent.lowest);
  if (!acb_is_real(first.get()) || !arb_is_negative(first.real())) return false;
  Series nothing;
  nothing.terms = variable_.terms;
  out = nothing;
  return true;
}

bool Expansion::quotient(Series& out, const Series& x, PolySeries above, PolySeries below) {
  Series numerator, denominator;
  return apply(numerator, x, above, bits_) && apply(denominator, x, below, bits_) &&
         divide(out, numerator, denominator, bits_);
}

bool Expansion::absolute(Series& out, const Series& x) {
  Series value = x;
  if (!is_real(value)) return false;
  if (!normalise(value, bits_)) {  // 0 up to its O
    out = x;
    return one_sided_;
  }
  if (value.lowest != 0 && !one_sided_) return false;
  const Ball first = value.coefficient(value.lowest);
  if (arb_contains_zero(first.real())) return false;
  if (arb_is_negative(first.real())) acb_poly_neg(value.get(), value.get());
  out = value;
  return true;
}

bool Expansion::function(Series& out, const Node& node) {
  Series x;
  if (node.children.size() != 1 || !of(x, node.children[0])) return false;
  if (!balls_.spend_functions(2 * (1 + x.terms))) return false;
  struct Entire {
    std::string_view name;
    PolySeries of;
  };
  static constexpr Entire kEntire[] = {{"sin", acb_poly_sin_series},
                                       {"cos", acb_poly_cos_series},
                                       {"sinh", acb_poly_sinh_series},
                                       {"cosh", acb_poly_cosh_series}};
  for (const Entire& entire : kEntire) {
    if (node.text == entire.name) return apply(out, x, entire.of, bits_);
  }
  if (node.text == "exp") return exponential(out, x);
  if (node.text == "ln") return logarithm(out, x);
  if (node.text == "abs") return absolute(out, x);
  if (node.text == "tan") return quotient(out, x, acb_poly_sin_series, acb_poly_cos_series);
  if (node.text == "cot") return quotient(out, x, acb_poly_cos_series, acb_poly_sin_series);
  if (node.text == "tanh") return quotient(out, x, acb_poly_sinh_series, acb_poly_cosh_series);
  if (node.text == "coth") return quotient(out, x, acb_poly_cosh_series, acb_poly_sinh_series);
  static constexpr Entire kReciprocals[] = {{"sec", acb_poly_cos_series},
                                            {"csc", acb_poly_sin_series},
                                            {"sech", acb_poly_cosh_series},
                                            {"csch", acb_poly_sinh_series}};
  for (const Entire& below : kReciprocals) {
    if (node.text != below.name) continue;
    const Series one = Series::constant(whole(1), variable_.terms);
    return apply(x, x, below.of, bits_) && divide(out, one, x, bits_);
  }
  return inverse(out, x, node.text);
}

// f(x) = f(x_0) + ∫ x' f'(x) dt, where f' is algebraic.
bool Expansion::inverse(Series& out, const Series& x, const std::string& name) {
  for (const auto& [reciprocal, of_inverse] :
       {std::pair("arccot", "arctan"), std::pair("arcsec", "arccos"), std::pair("arccsc", "arcsin"),
        std::pair("arccoth", "arctanh"), std::pair("arcsech", "arccosh"),
        std::pair("arccsch", "arcsinh")}) {
    if (name != reciprocal) continue;
    Series inverted;
    return divide(inverted, Series::constant(whole(1), x.terms), x, bits_) &&
           inverse(out, inverted, of_inverse);
  }
  Series argument = x;
  if (name == "arctan" && !as_taylor(argument, bits_)) return arctan_at_pole(out, argument);
  const BallFunction value_of = find_ball_function(name);
  if (value_of == nullptr || !as_taylor(argument, bits_) || argument.terms < 1) return false;
  Series square, slope;
  if (!multiply(square, argument, argument, bits_)) return false;
  const bool subtracts = name == "arcsin" || name == "arccos" || name == "arctanh";
  if (subtracts) acb_poly_neg(square.get(), square.get());
  const Series one = Series::constant(whole(name == "arccosh" ? -1 : 1), argument.terms);
  if (!add(square, square, one, bits_)) return false;
  Ball exponent;
  acb_set_si(exponent.get(), -1);
  if (name == "arctan" || name == "arctanh") {
    if (!apply(slope, square, inverse_series, bits_)) return false;
  } else if (name == "arcsin" || name == "arccos" || name == "arcsinh" || name == "arccosh") {
    acb_mul_2exp_si(exponent.get(), exponent.get(), -1);
    // Beyond its branch points the sign of the slope's root is another.
    if (!is_off_the_cut(square.coefficient(0))) return false;
    if (!raise(slope, square, exponent, 0, 1, bits_)) return false;
  } else {
    return false;
  }
  const Ball start = argument.coefficient(0);
  if (name == "arccosh" && !arb_is_positive(start.real())) return false;
  Ball value;
  value_of(value.get(), start.get(), bits_);
  if (!acb_is_finite(value.get())) return false;
  acb_poly_derivative(argument.get(), argument.get(), bits_);
  acb_poly_mullow(out.get(), argument.get(), slope.get(), x.terms, bits_);
  if (name == "arccos") acb_poly_neg(out.get(), out.get());
  acb_poly_integral(out.get(), out.get(), bits_);
  acb_poly_set_coeff_acb(out.get(), 0, value.get());
  out.lowest = 0;
  out.terms = argument.terms;
  acb_poly_truncate(out.get(), out.terms);
  return true;
}

// arctan x = ±π/2 - arctan(1/x) for real x.
bool Expansion::arctan_at_pole(Series& out, const Series& x) {
  const Ball first = x.coefficient(x.lowest);
  if (!one_sided_ || !is_real(x) || arb_contains_zero(first.real())) return false;
  Series inverted;
  if (!divide(inverted, Series::constant(whole(-1), x.terms), x, bits_)) return false;
  Ball right_angle;
  acb_const_pi(right_angle.get(), bits_);
  acb_mul_2exp_si(right_angle.get(), right_angle.get(), -1);
  if (arb_is_negative(first.real())) acb_neg(right_angle.get(), right_angle.get());
  return inverse(out, inverted, "arctan") &&
         add(out, out, Series::constant(right_angle, out.terms), bits_);
}

// Of the same variable: d/dx = (df/dt) / (dx/dt). One term is lost.
bool Expansion::derivative(Series& out, const Node& node) {
  if (node.text != name_ || one_sided_) return false;
  if (!of(out, node.children[0]) || !as_taylor(out, bits_) || out.terms < 2) return false;
  acb_poly_derivative(out.get(), out.get(), bits_);
  out.terms -= 1;
  return true;
}

}  // namespace zeroth::math
