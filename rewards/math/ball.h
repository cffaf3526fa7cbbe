// Owners of FLINT's rationals and Arb's complex balls (Johansson, "Arb: efficient
// arbitrary-precision midpoint-radius interval arithmetic", IEEE TC 66:8, 2017).
#pragma once

#include <acb.h>
#include <flint/fmpq.h>

namespace zeroth::math {

class Rational {
 public:
  Rational() { fmpq_init(value_); }
  Rational(const Rational& other) : Rational() { fmpq_set(value_, other.value_); }
  Rational(Rational&& other) noexcept : Rational() { fmpq_swap(value_, other.value_); }
  Rational& operator=(Rational other) noexcept {
    fmpq_swap(value_, other.value_);
    return *this;
  }
  ~Rational() { fmpq_clear(value_); }

  fmpq* get() { return value_; }
  const fmpq* get() const { return value_; }

 private:
  fmpq_t value_;
};

/// A complex number that is known to lie within a rectangle: midpoint ± radius on both axes.
class Ball {
 public:
  Ball() { acb_init(value_); }
  Ball(const Ball& other) : Ball() { acb_set(value_, other.value_); }
  Ball(Ball&& other) noexcept : Ball() { acb_swap(value_, other.value_); }
  Ball& operator=(Ball other) noexcept {
    acb_swap(value_, other.value_);
    return *this;
  }
  ~Ball() { acb_clear(value_); }

  acb_struct* get() { return value_; }
  const acb_struct* get() const { return value_; }
  arb_struct* real() { return acb_realref(value_); }
  const arb_struct* real() const { return acb_realref(value_); }

 private:
  acb_t value_;
};

}  // namespace zeroth::math
