#include "rewards/math/series.h"

#include <algorithm>
#include <cstdlib>

#include "rewards/math/ball_functions.h"

namespace zeroth::math {
namespace {

constexpr slong kMaxExponent = 4096;

void shift(Series& x, slong by) {
  if (by > 0) acb_poly_shift_left(x.get(), x.get(), by);
}

}  // namespace

Series Series::constant(const Ball& c, slong terms) {
  Series result;
  acb_poly_set_acb(result.get(), c.get());
  result.terms = terms;
  return result;
}

Ball Series::coefficient(slong power) const {
  Ball result;
  if (power >= lowest) acb_poly_get_coeff_acb(result.get(), poly_, power - lowest);
  return result;
}

bool normalise(Series& x, slong bits) {
  slong zeros = 0;
  while (zeros < acb_poly_length(x.get()) &&
         counts_as_zero(acb_poly_get_coeff_ptr(x.get(), zeros), bits)) {
    ++zeros;
  }
  if (zeros >= acb_poly_length(x.get())) return false;
  acb_poly_shift_right(x.get(), x.get(), zeros);
  x.lowest += zeros;
  x.terms -= zeros;
  return x.terms > 0;
}

bool as_taylor(Series& x, slong bits) {
  if (x.lowest < 0 && !normalise(x, bits)) {  // nothing but its O
    x.terms += x.lowest;
    x.lowest = 0;
    acb_poly_zero(x.get());
    return x.terms > 0;
  }
  if (x.lowest < 0) return false;
  shift(x, x.lowest);
  x.terms += x.lowest;
  x.lowest = 0;
  return true;
}

bool add(Series& out, const Series& a, const Series& b, slong bits) {
  Series x = a, y = b;
  const slong lowest = std::min(a.lowest, b.lowest);
  const slong terms = std::min(a.lowest + a.terms, b.lowest + b.terms) - lowest;
  shift(x, a.lowest - lowest);
  shift(y, b.lowest - lowest);
  acb_poly_add(out.get(), x.get(), y.get(), bits);
  acb_poly_truncate(out.get(), std::max<slong>(terms, 0));
  out.lowest = lowest;
  out.terms = terms;
  return terms > 0;
}

bool multiply(Series& out, const Series& a, const Series& b, slong bits) {
  const slong lowest = a.lowest + b.lowest, terms = std::min(a.terms, b.terms);
  acb_poly_mullow(out.get(), a.get(), b.get(), terms, bits);
  out.lowest = lowest;
  out.terms = terms;
  return true;
}

bool divide(Series& out, const Series& a, const Series& b, slong bits) {
  Series above = a, below = b;
  if (!normalise(below, bits)) return false;
  static_cast<void>(normalise(above, bits));
  const slong terms = std::min(above.terms, below.terms);
  acb_poly_div_series(out.get(), above.get(), below.get(), terms, bits);
  out.lowest = above.lowest - below.lowest;
  out.terms = terms;
  return terms > 0;
}

bool raise(Series& out, const Series& x, slong exponent, slong bits) {
  if (std::abs(exponent) > kMaxExponent) return false;
  if (exponent < 0) {
    Series power;
    Ball one;
    acb_one(one.get());
    return raise(power, x, -exponent, bits) &&
           divide(out, Series::constant(one, power.terms), power, bits);
  }
  Series base = x;
  if (exponent > 1) static_cast<void>(normalise(base, bits));
  const slong terms = base.terms, lowest = base.lowest * exponent;
  acb_poly_pow_ui_trunc_binexp(out.get(), base.get(), static_cast<ulong>(exponent), terms, bits);
  out.lowest = lowest;
  out.terms = terms;
  return terms > 0;
}

bool raise(Series& out, const Series& x, const Ball& exponent, slong over, slong below,
           slong bits) {
  Series base = x;
  if (!normalise(base, bits)) return false;
  if (base.lowest != 0 && (over == 0 || base.lowest * over % below != 0)) return false;
  acb_poly_pow_acb_series(out.get(), base.get(), exponent.get(), base.terms, bits);
  out.lowest = base.lowest == 0 ? 0 : base.lowest * over / below;
  out.terms = base.terms;
  return true;
}

bool apply(Series& out, const Series& x, PolySeries of, slong bits) {
  Series argument = x;
  if (!as_taylor(argument, bits)) return false;
  if (!is_below(argument.coefficient(0), kMaxExponentBits)) return false;
  of(out.get(), argument.get(), argument.terms, bits);
  out.lowest = 0;
  out.terms = argument.terms;
  return true;
}

}  // namespace zeroth::math
