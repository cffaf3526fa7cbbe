// Power series in a variable t that goes to 0, with balls for coefficients and finitely many powers
// below t^0: what derivatives and limits are read off.
//
// Goal: certain. What is not known of a series is the O at its end; an operation says whether it
// leaves anything known.
#pragma once

#include <acb_poly.h>

#include "rewards/math/ball.h"

namespace zeroth::math {

/// t^lowest (p + O(t^terms)), where p has less than `terms` coefficients.
class Series {
 public:
  Series() { acb_poly_init(poly_); }
  Series(const Series& other) : Series() { *this = other; }
  Series& operator=(const Series& other) {
    acb_poly_set(poly_, other.poly_);
    lowest = other.lowest;
    terms = other.terms;
    return *this;
  }
  ~Series() { acb_poly_clear(poly_); }

  acb_poly_struct* get() { return poly_; }
  const acb_poly_struct* get() const { return poly_; }

  /// c + O(t^terms)
  static Series constant(const Ball& c, slong terms);

  /// The coefficient of t^power; 0 below and above what is stored.
  Ball coefficient(slong power) const;

  slong lowest = 0, terms = 0;

 private:
  acb_poly_t poly_;
};

/// Drops coefficients that count as 0 from the low end; false where no other is left.
bool normalise(Series& x, slong bits);

/// t^lowest x with lowest >= 0 and as many terms as are known from t^0 on; false for a pole.
bool as_taylor(Series& x, slong bits);

bool add(Series& out, const Series& a, const Series& b, slong bits);
bool multiply(Series& out, const Series& a, const Series& b, slong bits);
bool divide(Series& out, const Series& a, const Series& b, slong bits);

/// x^exponent for a whole exponent.
bool raise(Series& out, const Series& x, slong exponent, slong bits);

/// x^exponent with its principal value; `below` / `over` is the exponent where it is rational and
/// small, or 0 / 1: what begins with a power of t has then that power of it.
bool raise(Series& out, const Series& x, const Ball& exponent, slong over, slong below, slong bits);

/// exp, ln, sin, cos, sinh, cosh: of what has no pole; ln of what begins with t^0.
using PolySeries = void (*)(acb_poly_struct*, const acb_poly_struct*, slong, slong);
bool apply(Series& out, const Series& x, PolySeries of, slong bits);

}  // namespace zeroth::math
