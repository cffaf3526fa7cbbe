// Values in balls: derivatives and limits from power series, integrals from a table or enclosed
// numerically.
#include <acb_calc.h>

#include "rewards/math/antiderivative.h"
#include "rewards/math/balls.h"
#include "rewards/math/expansion.h"

namespace zeroth::math {
namespace {

constexpr slong kShortSeries = 8, kLongSeries = 20;  // terms that limits are sought with
constexpr slong kMaxIntegralBits = 256;              // of those that are enclosed numerically
constexpr slong kIntegrandValues = 1000;
constexpr slong kMaxNodes =
    48;  // of a Gauss-Legendre rule: finding those of larger ones takes milliseconds

// -1 or 1 times infinity; 0 is everything else.
int infinite(const Expression& expression, NodeId id) {
  const Node& node = expression.at(id);
  if (node.kind == Kind::negate) return -infinite(expression, node.children[0]);
  return node.kind == Kind::constant && node.text == "infinity" ? 1 : 0;
}

slong order_of(const Expression& expression, const Node& node) {
  slong order = 1;
  for (const Node* inner = &expression.at(node.children[0]); inner->kind == Kind::derivative;
       inner = &expression.at(inner->children[0])) {
    ++order;
  }
  return order;
}

}  // namespace

bool Balls::derivative(Ball& out, const Node& node) {
  Ball here;
  if (!symbol(here, node.text)) return false;
  Series variable = Series::constant(here, order_of(expression_, node) + 4), series;
  acb_poly_set_coeff_si(variable.get(), 1, 1);
  Expansion expansion(*this, node.text, variable, false);
  if (!expansion.of(series, node.children[0]) || !as_taylor(series, bits_)) return false;
  out = series.coefficient(1);
  return series.terms > 1 && acb_is_finite(out.get());
}

// Where the text gives no side, both limits have to be the same.
bool Balls::limit(Ball& out, const Node& node) {
  if (!depends_on(body_of(node), node.text)) return value(out, body_of(node));
  if (infinite(expression_, node.children[0]) != 0) return one_sided_limit(out, node, 1);
  if (node.children.size() == 3) {
    return one_sided_limit(out, node, expression_.at(node.children[1]).text == "-" ? -1 : 1);
  }
  Ball left;
  return one_sided_limit(left, node, -1) && one_sided_limit(out, node, 1) &&
         acb_overlaps(left.get(), out.get());
}

bool Balls::one_sided_limit(Ball& out, const Node& node, int side) {
  Ball point;
  const int infinity = infinite(expression_, node.children[0]);
  if (infinity == 0 && !value(point, node.children[0])) return false;
  for (const slong terms : {kShortSeries, kLongSeries}) {
    Series variable = Series::constant(point, terms), series;
    if (infinity != 0) {
      acb_poly_set_si(variable.get(), infinity);
      variable.lowest = -1;
    } else {
      acb_poly_set_coeff_si(variable.get(), 1, side);
    }
    Expansion expansion(*this, node.text, variable, true);
    if (!expansion.of(series, body_of(node)) || !as_taylor(series, bits_)) continue;
    out = series.coefficient(0);
    if (acb_is_finite(out.get())) return true;
  }
  return false;
}

// The integrand at complex points around the path.
class Integrand {
 public:
  Integrand(Balls& balls, const Node& node) : balls_(balls), node_(node) {}

  static int at(acb_struct* out, const acb_struct* x, void* self, slong order, slong bits) {
    static_cast<Integrand*>(self)->evaluate(out, x, order > 0, bits);
    return 0;
  }

 private:
  void evaluate(acb_struct* out, const acb_struct* x, bool analytic, slong bits) {
    // What the integration itself does with a value costs about as much as a function.
    if (!balls_.spend_functions(2)) return acb_indeterminate(out);
    const slong outer_bits = std::exchange(balls_.bits_, bits);
    const bool outer_analytic = std::exchange(balls_.analytic_, analytic || balls_.analytic_);
    Ball point, value;
    acb_set(point.get(), x);
    if (balls_.value_where(value, body_of(node_), node_.text, point)) {
      acb_set(out, value.get());
    } else {
      acb_indeterminate(out);
    }
    balls_.bits_ = outer_bits;
    balls_.analytic_ = outer_analytic;
  }

  Balls& balls_;
  const Node& node_;
};

bool Balls::integral(Ball& out, const Node& node) {
  const NodeId integrand = body_of(node);
  if (node.children.size() == 1) {
    Ball here;
    return !analytic_ && symbol(here, node.text) &&
           Antiderivative(*this, node.text, false).at(out, integrand, here);
  }
  Ball low, high, below;
  if (!value(low, node.children[0]) || !value(high, node.children[1])) return false;
  Antiderivative entire(*this, node.text, true);
  if (entire.at(below, integrand, low) && entire.at(out, integrand, high)) {
    acb_sub(out.get(), out.get(), below.get(), bits_);
    return acb_is_finite(out.get());
  }
  return !analytic_ && numeric_integral(out, node, low, high);
}

bool Balls::numeric_integral(Ball& out, const Node& node, const Ball& low, const Ball& high) {
  if (bits_ > kMaxIntegralBits || budget_.is_spent()) return false;
  if (!acb_is_real(low.get()) || !acb_is_real(high.get())) return false;
  acb_calc_integrate_opt_t options;
  acb_calc_integrate_opt_init(options);
  options->deg_limit = kMaxNodes;
  options->eval_limit = kIntegrandValues;
  options->depth_limit = 32;
  mag_t tolerance;
  mag_init(tolerance);
  const slong digits = bits_ / 2 + 16;  // what comparisons ask for
  mag_set_ui_2exp_si(tolerance, 1, -digits);
  Integrand integrand(*this, node);
  acb_calc_integrate(out.get(), Integrand::at, &integrand, low.get(), high.get(), digits, tolerance,
                     options, bits_);
  mag_clear(tolerance);
  return !budget_.is_spent() && acb_is_finite(out.get());
}

}  // namespace zeroth::math
