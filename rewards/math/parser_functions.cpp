// Functions, and the commands that take arguments.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/descent.h"

namespace zeroth::math {
namespace {

// Trigonometric and hyperbolic functions, whose inverses are written f^{-1}.
bool has_inverse(std::string_view name) {
  for (const std::string_view known :
       {"sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch"}) {
    if (name == known) return true;
  }
  return false;
}

bool takes_several(std::string_view name) {
  return name == "gcd" || name == "lcm" || name == "max" || name == "min";
}

}  // namespace

// \sin^2 x, \log_2 8, ln(x), \max(a, b): the arguments are in brackets, or all that is multiplied
// up to the next function.
NodeId Descent::function(const std::string& name) {
  std::optional<NodeId> base, exponent;
  for (int scripts = 0; scripts < 2; ++scripts) {
    if (!base && name == "log" && accept("_")) base = argument();
    if (!exponent && accept("^")) {
      exponent = accept("-") ? negated(argument()) : argument();
    }
  }
  const bool is_inverse = exponent && has_inverse(name) && kind_of(*exponent) == Kind::negate &&
                          node(node(*exponent).children[0]).text == "1";
  if (takes_several(name) || name == "det" || name == "tr") {
    const NodeId result = applied(name, function_argument());
    return exponent ? make(Kind::power, {result, *exponent}) : result;
  }
  const NodeId operand = value_of(function_argument());
  if (is_inverse) return make(Kind::function, {operand}, "arc" + name);
  NodeId result = 0;
  if (name == "log" || name == "lg") {
    result = make(Kind::log, {base ? *base : number("10"), operand});
  } else {
    result = make(Kind::function, {operand}, name);
  }
  return exponent ? make(Kind::power, {result, *exponent}) : result;
}

// Functions of several numbers, or of a matrix.
NodeId Descent::applied(const std::string& name, NodeId operand) {
  if (takes_several(name)) {
    const bool several = kind_of(operand) == Kind::bracket || kind_of(operand) == Kind::list;
    std::vector<NodeId> operands = several ? node(operand).children : std::vector{operand};
    if (operands.empty()) throw NotAnExpression{};
    return make(Kind::function, std::move(operands), name);
  }
  if (kind_of(operand) != Kind::matrix) throw NotAnExpression{};
  return name == "det" ? determinant(operand) : trace(operand);
}

NodeId Descent::function_argument() {
  for (const std::string_view open : {"(", "{", "[", "\\{", "|", "lvert", "lfloor", "lceil"}) {
    if (peek().is_mark(open)) return postfix(primary());
  }
  const bool negative = accept("-");
  std::vector<NodeId> factors = {power()};
  while (begins_factor() && !begins_differential() && !peek().is_mark("(") &&
         !(peek().kind == TokenKind::name && is_function_name(peek().text))) {
    factors.push_back(power());
  }
  NodeId result = multiplied(std::move(factors));
  if (accept("/")) result = divided(result, power());
  return negative ? negated(result) : result;
}

NodeId Descent::command() {
  const std::string name = peek().text;
  if (name == "frac" && begins_derivative()) return derivative();
  next();
  if (name == "boxed") return argument();
  if (name == "overline") return overlined();
  if (name == "frac") return fraction();
  if (name == "sqrt") return root();
  if (name == "sum") return over_index(Kind::sum_over);
  if (name == "prod") return over_index(Kind::product_over);
  if (name == "lim") return limit();
  if (name == "int") return integral();
  if (name == "binom") {
    const NodeId above = argument();
    return make(Kind::binomial, {above, argument()});
  }
  throw NotAnExpression{};
}

NodeId Descent::fraction() {
  const NodeId above = argument();
  return divided(above, argument());
}

NodeId Descent::root() {
  if (accept("[")) {
    const NodeId index = closed_list("]");
    return make(Kind::root, {index, value_of(argument())});
  }
  const NodeId radicand = value_of(peek().is_mark("(") ? primary() : argument());
  return make(Kind::root, {number("2"), radicand});
}

// \overline{x} is a name of its own, \overline{2+i} the conjugate, \overline{AB} a segment.
NodeId Descent::overlined() {
  const NodeId inner = argument();
  if (kind_of(inner) == Kind::symbol) {
    return make(Kind::symbol, {}, "bar" + node(inner).text);
  }
  const bool is_complex = any_below(expression_, inner, [](const Node& below) {
    return below.kind == Kind::constant && below.text == "i";
  });
  return is_complex ? make(Kind::function, {inner}, "conj") : inner;
}

// \sum_{k=1}^{n} and \prod: the term is a product. In it the index is no constant: \sum_i i.
NodeId Descent::over_index(Kind kind) {
  std::string index;
  std::optional<NodeId> low, high;
  for (int scripts = 0; scripts < 2; ++scripts) {
    if (!low && accept("_")) {
      expect("{");
      if (peek().kind != TokenKind::name) throw NotAnExpression{};
      index = peek().text;
      next();
      if (!accept_relation("=")) throw NotAnExpression{};
      low = closed_list("}");
    } else if (!high && accept("^")) {
      high = accept("-") ? negated(argument()) : argument();
    }
  }
  if (!low || !high) throw NotAnExpression{};
  indices_.push_back(index);
  const NodeId term = product();
  indices_.pop_back();
  return make(kind, {*low, *high, term}, index);
}

// \lim_{x \to 3}, \lim_{x \to 3^+}.
NodeId Descent::limit() {
  expect("_");
  expect("{");
  if (peek().kind != TokenKind::name) throw NotAnExpression{};
  const std::string variable = peek().text;
  next();
  expect("to");
  in_limit_point_ = true;
  limit_side_.clear();
  const NodeId point = sum();
  in_limit_point_ = false;
  const std::string side = std::exchange(limit_side_, "");
  expect("}");
  const NodeId body = product();
  if (side.empty()) return make(Kind::limit, {point, body}, variable);
  return make(Kind::limit, {point, make(Kind::words, {}, side), body}, variable);
}

// \int_a^b f dx. The differential may stand within the integrand: \int \frac{dx}{x}.
NodeId Descent::integral() {
  const Level level(*this);
  std::optional<NodeId> low, high;
  const auto end = [this]() -> std::optional<NodeId> {
    if (peek().is_mark("{") && peek(1).is_mark("}")) {  // \int_{}^{}
      at_ += 2;
      return std::nullopt;
    }
    return accept("-") ? negated(argument()) : argument();
  };
  for (int scripts = 0; scripts < 2; ++scripts) {
    if (accept("_")) {
      low = end();
    } else if (accept("^")) {
      high = end();
    }
  }
  if (low.has_value() != high.has_value()) throw NotAnExpression{};
  variables_.emplace_back();
  const NodeId integrand = value_of(sum());
  const std::string variable = std::move(variables_.back());
  variables_.pop_back();
  if (variable.empty()) throw NotAnExpression{};
  if (!low) return make(Kind::integral, {integrand}, variable);
  return make(Kind::integral, {*low, *high, integrand}, variable);
}

bool Descent::begins_differential() const {
  if (variables_.empty() || !variables_.back().empty() || !peek().is(TokenKind::name, "d")) {
    return false;
  }
  return peek(1).kind == TokenKind::name ||
         (peek(1).is_mark("{") && peek(2).kind == TokenKind::name && peek(3).is_mark("}"));
}

// dx or d{x}
void Descent::differential() {
  next();
  const bool in_braces = accept("{");
  variables_.back() = peek().text;
  next();
  if (in_braces) next();
}

// \frac{d}{dx} and \frac{d^2}{dx^2}.
bool Descent::begins_derivative() const {
  const bool is_second = peek(3).is_mark("^");
  const std::size_t below = is_second ? 6 : 4;
  return peek(1).is_mark("{") && peek(2).is(TokenKind::name, "d") &&
         (is_second ? peek(4).kind == TokenKind::number && peek(5).is_mark("}")
                    : peek(3).is_mark("}")) &&
         peek(below).is_mark("{") && peek(below + 1).is(TokenKind::name, "d") &&
         peek(below + 2).kind == TokenKind::name;
}

NodeId Descent::derivative() {
  const bool repeated = peek(3).is_mark("^");
  const std::string order = repeated ? peek(4).text : "1";
  at_ += repeated ? 8 : 6;
  const std::string variable = peek().text;
  next();
  if (repeated) {
    expect("^");
    if (peek().text != order) throw NotAnExpression{};
    next();
  }
  expect("}");
  if (order.size() != 1 || order[0] < '1') throw NotAnExpression{};
  NodeId result = value_of(product());
  for (char i = '0'; i < order[0]; ++i) result = make(Kind::derivative, {result}, variable);
  return result;
}

}  // namespace zeroth::math
