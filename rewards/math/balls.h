// The evaluator of ball_value; included by its own sources only.
//
// Each function computes one kind of node into `out` and returns whether there is such a value and
// the budget allows it. evaluation_ball.cpp: leaves and operations; evaluation_powers.cpp: powers,
// logarithms, gamma; evaluation_compound.cpp: sums over an index, determinants, cases;
// evaluation_calculus.cpp: derivatives, limits, integrals; common_divisor.cpp: gcd and lcm.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rewards/math/ball_functions.h"
#include "rewards/math/evaluation.h"

namespace zeroth::math {

class Balls {
 public:
  Balls(const Expression& expression, const Point& point, std::int64_t bits, Budget& budget)
      : expression_(expression), point_(point), bound_(point.bound), bits_(bits), budget_(budget) {}

  bool value(Ball& out, NodeId id);

  const Expression& expression() const { return expression_; }
  std::int64_t bits() const { return bits_; }
  bool depends_on(NodeId id, const std::string& name) const;
  std::optional<Rational> exact(NodeId id) { return exact_value(expression_, id, budget_, bound_); }
  bool spend(std::int64_t cost) { return budget_.spend(cost); }
  /// Of what has no symbols but such as stand for whole numbers.
  std::optional<Rational> exact_of_whole(NodeId id) {
    return has_broken_symbol(expression_, id, bound_) ? std::nullopt : exact(id);
  }
  /// So many products.
  bool spend_products(std::int64_t count) { return budget_.spend(count * cost_of(Kind::multiply)); }
  bool spend_functions(std::int64_t count) { return budget_.spend(count * transcendental_cost()); }

  /// The value of `id` where the symbol `name` has that of `x`.
  bool value_where(Ball& out, NodeId id, const std::string& name, const Ball& x);

 private:
  friend class Integrand;

  std::int64_t cost_of(Kind kind) const;
  std::int64_t transcendental_cost() const;

  // ---- evaluation_ball.cpp
  bool leaf(Ball& out, const Node& node);
  bool symbol(Ball& out, const std::string& name);
  bool combined(Ball& out, const Node& node, std::vector<Ball>& x);
  bool function(Ball& out, const Node& node, const std::vector<Ball>& x);
  bool extreme(Ball& out, const Node& node, const std::vector<Ball>& x);
  bool modulo(Ball& out, const Ball& a, const Ball& b);

  // ---- evaluation_powers.cpp
  bool odd_integer(NodeId id);
  bool square_root(Ball& out, const Ball& x);
  bool real_root(Ball& out, const Ball& base, const Ball& exponent, bool is_odd);
  bool power(Ball& out, const Ball& base, const Ball& exponent, NodeId exponent_id);
  bool principal_power(Ball& out, const Ball& base, const Ball& exponent);
  bool log_to_base(Ball& out, const Ball& base, const Ball& x);
  bool gamma(Ball& x);
  bool binomial(Ball& out, const Ball& n, const Ball& k);

  // ---- evaluation_compound.cpp
  bool over_index(Ball& out, const Node& node);
  bool determinant(Ball& out, const Node& matrix);
  bool piecewise(Ball& out, const Node& node);
  std::optional<bool> condition(NodeId id);

  // ---- evaluation_calculus.cpp
  bool derivative(Ball& out, const Node& node);
  bool limit(Ball& out, const Node& node);
  bool one_sided_limit(Ball& out, const Node& node, int side);
  bool integral(Ball& out, const Node& node);
  bool numeric_integral(Ball& out, const Node& node, const Ball& low, const Ball& high);

  // ---- common_divisor.cpp
  bool common(Ball& out, NodeId id);

  const Expression& expression_;
  const Point& point_;
  const Binding* bound_;
  std::int64_t bits_;
  Budget& budget_;
  bool analytic_ = false;  // only what is analytic on the balls has a value
};

}  // namespace zeroth::math
