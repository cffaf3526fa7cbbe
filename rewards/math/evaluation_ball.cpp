// Values in balls: leaves and operations.
#include <algorithm>
#include <array>

#include "rewards/math/balls.h"

namespace zeroth::math {
namespace {

// FNV-1a.
std::uint64_t hash_of(const std::string& text, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash ^ (hash >> 29);
}

// Where a ball around a number cannot be enough.
bool jumps(const Node& node) {
  if (node.kind == Kind::modulo) return true;
  return node.kind == Kind::function &&
         (node.text == "floor" || node.text == "ceil" || node.text == "sgn");
}

}  // namespace

bool Balls::value(Ball& out, NodeId id) {
  const Node& node = expression_.at(id);
  const bool is_leaf = node.children.empty();
  const auto leaf_cost = 100 + 8 * static_cast<std::int64_t>(node.text.size());
  if (!budget_.spend(is_leaf ? leaf_cost : cost_of(node.kind))) return false;
  if (is_leaf) return leaf(out, node) && acb_is_finite(out.get());
  switch (node.kind) {
    case Kind::sum_over:
    case Kind::product_over:
      return over_index(out, node);
    case Kind::piecewise:
      return !analytic_ && piecewise(out, node);
    case Kind::derivative:
      return !analytic_ && derivative(out, node);
    case Kind::limit:
      return !analytic_ && limit(out, node);
    case Kind::integral:
      return integral(out, node);
    case Kind::function:
      if (node.text == "det") return determinant(out, expression_.at(node.children[0]));
      if (node.text == "gcd" || node.text == "lcm") return !analytic_ && common(out, id);
      break;
    default:
      break;
  }
  if (jumps(node) && !analytic_) {
    if (const std::optional<Rational> known = exact(id)) {
      acb_set_fmpq(out.get(), known->get(), bits_);
      return true;
    }
  }
  std::vector<Ball> x(node.children.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!value(x[i], node.children[i])) return false;
  }
  return combined(out, node, x) && acb_is_finite(out.get());
}

std::int64_t Balls::cost_of(Kind kind) const {
  const std::int64_t words = 1 + bits_ / 64;
  switch (kind) {
    case Kind::add:
    case Kind::multiply:
    case Kind::negate:
    case Kind::divide:
      return 50 + words * words;
    case Kind::power:
    case Kind::root:
      return 500 + 20 * words * words;  // of a whole exponent or index; others pay once more
    default:
      return transcendental_cost();
  }
}

std::int64_t Balls::transcendental_cost() const {
  const std::int64_t words = 1 + bits_ / 64;
  return 2000 + 200 * words * words;
}

bool Balls::leaf(Ball& out, const Node& node) {
  if (node.kind == Kind::number) {
    const std::optional<Rational> exact = literal_value(node.text);
    if (!exact) return false;
    acb_set_fmpq(out.get(), exact->get(), bits_);
    return true;
  }
  if (node.kind == Kind::symbol) return symbol(out, node.text);
  if (node.kind != Kind::constant) return false;
  if (find_binding(bound_, node.text) != nullptr) return symbol(out, node.text);
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

bool Balls::symbol(Ball& out, const std::string& name) {
  if (const Binding* binding = find_binding(bound_, name)) {
    if (binding->exact != nullptr) {
      acb_set_fmpq(out.get(), binding->exact->get(), bits_);
    } else {
      out = *binding->value;
    }
    return true;
  }
  // A rational of 20 bits between 1/4 and 9/4.
  const std::uint64_t hash = hash_of(name, static_cast<std::uint64_t>(point_.number));
  const std::int64_t numerator = 262144 + static_cast<std::int64_t>(hash % 2097152);
  const bool negative = point_.number > 0 && ((hash >> 40) & 1) != 0;
  acb_set_si(out.get(), negative ? -numerator : numerator);
  acb_mul_2exp_si(out.get(), out.get(), -20);
  return true;
}

bool Balls::value_where(Ball& out, NodeId id, const std::string& name, const Ball& x) {
  const Binding binding{.name = name, .value = &x, .exact = nullptr, .outer = bound_};
  const Binding* outside = std::exchange(bound_, &binding);
  const bool known = value(out, id);
  bound_ = outside;
  return known;
}

bool Balls::combined(Ball& out, const Node& node, std::vector<Ball>& x) {
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
      if (expression_.at(node.children[0]).text == "2") return square_root(out, x[1]);
      if (acb_contains_zero(x[0].get())) return false;
      acb_inv(out.get(), x[0].get(), bits_);
      return real_root(out, x[1], out, odd_integer(node.children[0]));
    }
    case Kind::function:
      return function(out, node, x);
    case Kind::modulo:
      return !analytic_ && modulo(out, x[0], x[1]);
    case Kind::log:
      return log_to_base(out, x[0], x[1]);
    case Kind::factorial:
      if (analytic_) return false;
      acb_add_si(out.get(), x[0].get(), 1, bits_);
      return gamma(out);
    case Kind::binomial:
      return !analytic_ && binomial(out, x[0], x[1]);
    default:
      return false;
  }
}

bool Balls::function(Ball& out, const Node& node, const std::vector<Ball>& x) {
  const bool is_extreme = node.text == "max" || node.text == "min";
  if (x.size() != 1 || is_extreme) return !analytic_ && extreme(out, node, x);
  const BallFunction of = find_ball_function(node.text);
  const bool grows = node.text == "exp" || node.text.ends_with('h');  // sinh, …
  if (of == nullptr || !is_below(x[0], grows ? kMaxExponentBits : kMaxArgumentBits)) return false;
  if (analytic_ && !is_analytic_function(node.text)) return false;
  if (analytic_ && node.text == "ln" && !is_off_the_cut(x[0])) return false;
  of(out.get(), x[0].get(), bits_);
  return true;
}

// max and min of real numbers.
bool Balls::extreme(Ball& out, const Node& node, const std::vector<Ball>& x) {
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
bool Balls::modulo(Ball& out, const Ball& a, const Ball& b) {
  if (!acb_is_real(a.get()) || !acb_is_real(b.get()) || arb_contains_zero(b.real())) return false;
  arb_div(out.real(), a.real(), b.real(), bits_);
  arb_floor(out.real(), out.real(), bits_);
  arb_mul(out.real(), out.real(), b.real(), bits_);
  arb_sub(out.real(), a.real(), out.real(), bits_);
  return true;
}

std::optional<Ball> ball_value(const Expression& expression, NodeId id, const Point& point,
                               std::int64_t bits, Budget& budget) {
  Ball result;
  if (!Balls(expression, point, bits, budget).value(result, id)) return std::nullopt;
  return result;
}

const Node* free_symbol(const Expression& expression, NodeId id, const Binding* bound) {
  const Node& node = expression.at(id);
  const bool is_unbound_integral = node.kind == Kind::integral && !binds_its_variable(node);
  if ((node.kind == Kind::symbol || is_unbound_integral) &&
      find_binding(bound, node.text) == nullptr) {
    return &node;
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
