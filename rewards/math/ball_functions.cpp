#include "rewards/math/ball_functions.h"

#include <algorithm>
#include <array>

#include <acb_hypgeom.h>

namespace zeroth::math {
namespace {

struct Function {
  std::string_view name;
  BallFunction of;
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

}  // namespace

BallFunction find_ball_function(std::string_view name) {
  const auto at = std::find_if(kFunctions.begin(), kFunctions.end(),
                               [name](const Function& row) { return row.name == name; });
  return at == kFunctions.end() ? nullptr : at->of;
}

bool is_analytic_function(std::string_view name) {
  for (const std::string_view known : {"sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh",
                                       "tanh", "coth", "sech", "csch", "exp", "ln"}) {
    if (name == known) return true;
  }
  return false;
}

bool is_below(const Ball& x, std::int64_t bits) {
  arf_t bound;
  arf_init(bound);
  acb_get_abs_ubound_arf(bound, x.get(), 32);
  const bool below = arf_is_finite(bound) && arf_cmpabs_2exp_si(bound, bits) < 0;
  arf_clear(bound);
  return below;
}

bool is_off_the_cut(const Ball& x) {
  return arb_is_positive(x.real()) || !arb_contains_zero(acb_imagref(x.get()));
}

bool counts_as_zero(const acb_struct* x, std::int64_t bits) {
  if (!acb_contains_zero(x)) return false;
  mag_t size;
  mag_init(size);
  acb_get_mag(size, x);
  const bool small = mag_cmp_2exp_si(size, -bits / 2) <= 0;
  mag_clear(size);
  return small;
}

}  // namespace zeroth::math
