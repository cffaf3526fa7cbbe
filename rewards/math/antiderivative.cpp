#include "rewards/math/antiderivative.h"

#include <acb_poly.h>

namespace zeroth::math {
namespace {

constexpr slong kMaxTerms = 64;
constexpr flint_bitcnt_t kMaxPowerBits = 6;

}  // namespace

struct Antiderivative::Powers {
  Powers() { acb_poly_init(poly); }
  Powers(const Powers&) = delete;
  Powers& operator=(const Powers&) = delete;
  ~Powers() { acb_poly_clear(poly); }

  acb_poly_t poly;
  slong lowest = 0;
};

// Only sums, products, quotients by a single power, and whole powers.
bool Antiderivative::powers_of(Powers& out, NodeId id) {
  if (!balls_.spend_products(kMaxTerms)) return false;
  const Node& node = expression_.at(id);
  if (node.kind == Kind::symbol && node.text == name_) {
    acb_poly_set_coeff_si(out.poly, 1, 1);
    return true;
  }
  if (!balls_.depends_on(id, name_)) {
    Ball value;
    if (!balls_.value(value, id)) return false;
    acb_poly_set_acb(out.poly, value.get());
    return true;
  }
  switch (node.kind) {
    case Kind::negate:
      if (!powers_of(out, node.children[0])) return false;
      acb_poly_neg(out.poly, out.poly);
      return true;
    case Kind::add:
      for (const NodeId child : node.children) {
        Powers term;
        if (!powers_of(term, child)) return false;
        if (term.lowest < out.lowest) {
          if (acb_poly_length(out.poly) > 0)
            acb_poly_shift_left(out.poly, out.poly, out.lowest - term.lowest);
          out.lowest = term.lowest;
        }
        acb_poly_shift_left(term.poly, term.poly, term.lowest - out.lowest);
        if (acb_poly_length(term.poly) > kMaxTerms) return false;
        acb_poly_add(out.poly, out.poly, term.poly, bits_);
      }
      return acb_poly_length(out.poly) <= kMaxTerms;
    case Kind::multiply:
      acb_poly_one(out.poly);
      for (const NodeId child : node.children) {
        Powers factor;
        if (!powers_of(factor, child)) return false;
        if (acb_poly_length(out.poly) + acb_poly_length(factor.poly) > kMaxTerms) return false;
        acb_poly_mul(out.poly, out.poly, factor.poly, bits_);
        out.lowest += factor.lowest;
      }
      return out.lowest >= -kMaxTerms;
    case Kind::divide: {
      Powers below;
      if (!powers_of(out, node.children[0]) || !powers_of(below, node.children[1])) return false;
      const slong last = acb_poly_length(below.poly) - 1;
      if (last < 0) return false;
      for (slong i = 0; i < last; ++i) {
        if (!acb_is_zero(acb_poly_get_coeff_ptr(below.poly, i))) return false;
      }
      const acb_struct* divisor = acb_poly_get_coeff_ptr(below.poly, last);
      if (acb_contains_zero(divisor)) return false;
      acb_poly_scalar_div(out.poly, out.poly, divisor, bits_);
      out.lowest -= below.lowest + last;
      return out.lowest >= -kMaxTerms;
    }
    case Kind::power: {
      const std::optional<Rational> exponent = balls_.depends_on(node.children[1], name_)
                                                   ? std::nullopt
                                                   : balls_.exact(node.children[1]);
      if (!exponent || !fmpz_is_one(fmpq_denref(exponent->get())) ||
          fmpz_bits(fmpq_numref(exponent->get())) > kMaxPowerBits) {
        return false;
      }
      const slong n = fmpz_get_si(fmpq_numref(exponent->get()));
      Powers base;
      if (!powers_of(base, node.children[0])) return false;
      const slong last = acb_poly_length(base.poly) - 1;
      if (n < 0) {  // of x itself, or of a power of it
        if (last + base.lowest != 1 || base.lowest > 0) return false;
        for (slong i = 0; i < last; ++i) {
          if (!acb_is_zero(acb_poly_get_coeff_ptr(base.poly, i))) return false;
        }
        Ball coefficient;
        acb_pow_si(coefficient.get(), acb_poly_get_coeff_ptr(base.poly, last), n, bits_);
        acb_poly_set_acb(out.poly, coefficient.get());
        out.lowest = n;
        return acb_is_finite(coefficient.get());
      }
      if (last * n >= kMaxTerms || !balls_.spend_products(kMaxTerms * kMaxTerms)) return false;
      acb_poly_pow_ui(out.poly, base.poly, static_cast<ulong>(n), bits_);
      out.lowest = base.lowest * n;
      return out.lowest >= -kMaxTerms;
    }
    default:
      return false;
  }
}

bool Antiderivative::integrated(Ball& out, const Powers& integrand, const Ball& x) {
  acb_zero(out.get());
  for (slong i = 0; i < acb_poly_length(integrand.poly); ++i) {
    const acb_struct* coefficient = acb_poly_get_coeff_ptr(integrand.poly, i);
    const slong exponent = integrand.lowest + i + 1;
    if (acb_is_zero(coefficient)) continue;
    if (exponent <= 0 && (entire_only_ || acb_contains_zero(x.get()))) return false;
    Ball term;
    if (exponent == 0) {
      if (!balls_.spend_functions(1)) return false;
      acb_log(term.get(), x.get(), bits_);
    } else {
      acb_pow_si(term.get(), x.get(), exponent, bits_);
      acb_div_si(term.get(), term.get(), exponent, bits_);
    }
    acb_addmul(out.get(), term.get(), coefficient, bits_);
  }
  return balls_.spend_products(2 * kMaxTerms);
}

bool Antiderivative::at(Ball& out, NodeId integrand, const Ball& x) {
  Powers powers;
  if (powers_of(powers, integrand)) return integrated(out, powers, x);
  const Node& node = expression_.at(integrand);
  switch (node.kind) {
    case Kind::add:
      for (const NodeId child : node.children) {
        Ball term;
        if (!at(term, child, x)) return false;
        acb_add(out.get(), out.get(), term.get(), bits_);
      }
      return true;
    case Kind::negate:
      if (!at(out, node.children[0], x)) return false;
      acb_neg(out.get(), out.get());
      return true;
    case Kind::multiply:
      return factors(out, node, x);
    case Kind::divide: {
      if (balls_.depends_on(node.children[1], name_)) {  // c / (ax + b)
        Ball slope, value, above;
        if (entire_only_ || balls_.depends_on(node.children[0], name_)) return false;
        if (!balls_.value(above, node.children[0])) return false;
        if (!linear(node.children[1], x, slope, value)) return false;
        if (acb_contains_zero(value.get()) || !balls_.spend_functions(1)) return false;
        acb_log(out.get(), value.get(), bits_);
        acb_mul(out.get(), out.get(), above.get(), bits_);
        acb_div(out.get(), out.get(), slope.get(), bits_);
        return true;
      }
      Ball below;
      if (!at(out, node.children[0], x) || !balls_.value(below, node.children[1])) return false;
      if (acb_contains_zero(below.get())) return false;
      acb_div(out.get(), out.get(), below.get(), bits_);
      return true;
    }
    case Kind::function:
    case Kind::power:
    case Kind::root:
      return of_linear(out, node, x);
    default:
      return false;
  }
}

// Constants, and one factor that depends on x.
bool Antiderivative::factors(Ball& out, const Node& product, const Ball& x) {
  Ball constant;
  acb_one(constant.get());
  std::optional<NodeId> dependent;
  for (const NodeId factor : product.children) {
    if (balls_.depends_on(factor, name_)) {
      if (dependent) return false;
      dependent = factor;
      continue;
    }
    Ball value;
    if (!balls_.value(value, factor)) return false;
    acb_mul(constant.get(), constant.get(), value.get(), bits_);
  }
  if (!dependent || !at(out, *dependent, x)) return false;
  acb_mul(out.get(), out.get(), constant.get(), bits_);
  return true;
}

// ax + b at x, and a, which is not 0.
bool Antiderivative::linear(NodeId id, const Ball& x, Ball& slope, Ball& value) {
  Powers powers;
  if (!powers_of(powers, id) || powers.lowest < 0) return false;
  acb_poly_shift_left(powers.poly, powers.poly, powers.lowest);
  if (acb_poly_length(powers.poly) != 2) return false;
  acb_poly_get_coeff_acb(slope.get(), powers.poly, 1);
  acb_poly_evaluate(value.get(), powers.poly, x.get(), bits_);
  return !acb_contains_zero(slope.get());
}

bool Antiderivative::of_linear(Ball& out, const Node& node, const Ball& x) {
  Ball slope, value, scale;
  if (!balls_.spend_functions(2)) return false;
  if (node.kind == Kind::function) {
    if (node.children.size() != 1 || !linear(node.children[0], x, slope, value)) return false;
    if (!is_below(value, kMaxExponentBits)) return false;
    if (node.text == "sin") {
      acb_cos(out.get(), value.get(), bits_);
      acb_neg(out.get(), out.get());
    } else if (node.text == "cos") {
      acb_sin(out.get(), value.get(), bits_);
    } else if (node.text == "exp") {
      acb_exp(out.get(), value.get(), bits_);
    } else if (node.text == "sinh") {
      acb_cosh(out.get(), value.get(), bits_);
    } else if (node.text == "cosh") {
      acb_sinh(out.get(), value.get(), bits_);
    } else if (node.text == "ln" && !entire_only_) {  // u ln u - u
      if (!is_off_the_cut(value)) return false;
      acb_log(out.get(), value.get(), bits_);
      acb_sub_si(out.get(), out.get(), 1, bits_);
      acb_mul(out.get(), out.get(), value.get(), bits_);
    } else {
      return false;
    }
    acb_div(out.get(), out.get(), slope.get(), bits_);
    return acb_is_finite(out.get());
  }
  const bool is_root = node.kind == Kind::root;
  const NodeId base = node.children[is_root ? 1 : 0], exponent = node.children[is_root ? 0 : 1];
  if (!is_root && balls_.depends_on(exponent, name_)) {  // c^(ax + b) / (a ln c)
    if (balls_.depends_on(base, name_) || !balls_.value(scale, base)) return false;
    if (!is_off_the_cut(scale) || !linear(exponent, x, slope, value)) return false;
    acb_log(scale.get(), scale.get(), bits_);
    if (acb_contains_zero(scale.get())) return false;
    acb_mul(value.get(), value.get(), scale.get(), bits_);
    if (!is_below(value, kMaxExponentBits)) return false;
    acb_exp(out.get(), value.get(), bits_);
    acb_mul(slope.get(), slope.get(), scale.get(), bits_);
    acb_div(out.get(), out.get(), slope.get(), bits_);
    return true;
  }
  // (ax + b)^(r + 1) / (a (r + 1))
  std::optional<Rational> power = balls_.exact(exponent);
  if (entire_only_ || !power || fmpq_is_zero(power->get())) return false;
  if (is_root) fmpq_inv(power->get(), power->get());
  fmpq_add_si(power->get(), power->get(), 1);
  if (!linear(base, x, slope, value) || !is_off_the_cut(value)) return false;
  if (fmpq_is_zero(power->get())) {
    acb_log(out.get(), value.get(), bits_);
  } else {
    acb_set_fmpq(scale.get(), power->get(), bits_);
    if (!is_below(scale, kMaxExponentBits / 2)) return false;
    acb_pow(out.get(), value.get(), scale.get(), bits_);
    acb_mul(slope.get(), slope.get(), scale.get(), bits_);
  }
  acb_div(out.get(), out.get(), slope.get(), bits_);
  return acb_is_finite(out.get());
}

}  // namespace zeroth::math
