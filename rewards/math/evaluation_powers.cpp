// Values in balls: powers, roots, logarithms, factorials and binomials.
#include "rewards/math/balls.h"

namespace zeroth::math {
namespace {

bool is_negative_real(const Ball& x) {
  return acb_is_real(x.get()) && arb_is_negative(x.real());
}

}  // namespace

// Whether a node is a whole odd number.
bool Balls::odd_integer(NodeId id) {
  const std::optional<Rational> exact = this->exact(id);
  return exact && fmpz_is_one(fmpq_denref(exact->get())) && fmpz_is_odd(fmpq_numref(exact->get()));
}

bool Balls::square_root(Ball& out, const Ball& x) {
  if (analytic_ && !is_off_the_cut(x)) return false;
  acb_sqrt(out.get(), x.get(), bits_);
  return true;
}

// base^exponent for a root: of a negative base under an odd index, the real one.
bool Balls::real_root(Ball& out, const Ball& base, const Ball& exponent, bool is_odd) {
  Ball result;
  if (is_odd && !analytic_ && is_negative_real(base)) {
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

bool Balls::power(Ball& out, const Ball& base, const Ball& exponent, NodeId exponent_id) {
  const std::optional<Rational> exact = this->exact(exponent_id);
  if (exact && fmpz_is_one(fmpq_denref(exact->get()))) {
    if (fmpz_bits(fmpq_numref(exact->get())) > kMaxExponentBits) return false;
    // x^-n of 0 is not finite, and refused as such.
    acb_pow_fmpz(out.get(), base.get(), fmpq_numref(exact->get()), bits_);
    return true;
  }
  const bool odd_denominator = exact && fmpz_is_odd(fmpq_denref(exact->get()));
  if (odd_denominator && !analytic_ && is_negative_real(base)) {
    Ball positive;
    acb_neg(positive.get(), base.get());
    if (!principal_power(out, positive, exponent)) return false;
    if (fmpz_is_odd(fmpq_numref(exact->get()))) acb_neg(out.get(), out.get());
    return true;
  }
  return principal_power(out, base, exponent);
}

bool Balls::principal_power(Ball& out, const Ball& base, const Ball& exponent) {
  if (acb_is_zero(base.get())) {
    acb_zero(out.get());
    return arb_is_positive(exponent.real());
  }
  if (analytic_ && !is_off_the_cut(base)) return false;
  if (!budget_.spend(transcendental_cost())) return false;
  Ball logarithm;
  acb_log(logarithm.get(), base.get(), bits_);
  acb_mul(logarithm.get(), logarithm.get(), exponent.get(), bits_);
  if (!is_below(logarithm, kMaxExponentBits)) return false;
  acb_pow(out.get(), base.get(), exponent.get(), bits_);
  return true;
}

bool Balls::log_to_base(Ball& out, const Ball& base, const Ball& x) {
  if (analytic_ && (!is_off_the_cut(base) || !is_off_the_cut(x))) return false;
  Ball below;
  acb_log(out.get(), x.get(), bits_);
  acb_log(below.get(), base.get(), bits_);
  if (acb_contains_zero(below.get())) return false;
  acb_div(out.get(), out.get(), below.get(), bits_);
  return true;
}

bool Balls::gamma(Ball& x) {
  if (!is_below(x, kMaxExponentBits) || !spend_functions(6)) return false;
  acb_gamma(x.get(), x.get(), bits_);
  return true;
}

// Γ(n+1) / (Γ(k+1) Γ(n-k+1))
bool Balls::binomial(Ball& out, const Ball& n, const Ball& k) {
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

}  // namespace zeroth::math
