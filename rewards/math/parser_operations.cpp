// Sums, products and powers, and what is written after a value.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/descent.h"
#include "system/ascii.h"

namespace zeroth::math {
namespace {

// Of a symbol with its indices and primes.
constexpr std::size_t kMaxNameBytes = 200;

}  // namespace

NodeId Descent::sum() {
  const Level level(*this);
  std::vector<NodeId> terms;
  const auto signed_term = [this]() -> std::optional<NodeId> {
    if (accept("pm")) return make(Kind::plus_minus, {product()}, "+");
    if (accept("mp")) return make(Kind::plus_minus, {product()}, "-");
    return std::nullopt;
  };
  const std::optional<NodeId> first = signed_term();
  terms.push_back(first ? *first : product());
  for (;;) {
    if (!variables_.empty() && !variables_.back().empty()) break;  // after dx
    if (accept("+")) {
      terms.push_back(product());
    } else if (accept("-")) {
      terms.push_back(negated(product()));
    } else if (const std::optional<NodeId> term = signed_term()) {
      terms.push_back(*term);
    } else {
      break;
    }
  }
  return added(std::move(terms));
}

// Products and quotients from left to right; words after a value are its unit.
NodeId Descent::product() {
  const Level level(*this);
  std::vector<NodeId> factors;
  if (begins_differential()) {  // dx/x
    factors.push_back(number("1"));
  } else {
    factors.push_back(signed_factor());
  }
  for (;;) {
    if (begins_differential()) {
      differential();
      return multiplied(std::move(factors));
    } else if (accept("*")) {
      if (begins_differential()) continue;  // x \cdot dx
      factors.push_back(signed_factor());
    } else if (accept("/")) {
      const NodeId above = multiplied(std::move(factors));
      factors = {divided(above, divisor(above, false))};
    } else if (accept("mod")) {
      const NodeId left = multiplied(std::move(factors));
      factors = {make(Kind::modulo, {left, divisor(left, true)})};
    } else if (peek().kind == TokenKind::words) {
      const std::string unit = words();
      if (factors.size() == 1 && kind_of(factors[0]) == Kind::words) {
        factors = {make(Kind::words, {}, node(factors[0]).text + unit)};
      } else {
        factors = {make(Kind::unit, {multiplied(std::move(factors))}, unit)};
      }
    } else if (begins_factor()) {
      factors.push_back(power());
    } else {
      return multiplied(std::move(factors));
    }
  }
}

// What stands after / or mod. "a/2b" divides by 2b, where nothing separates the two; but "1/2x" is
// half of x, "\sqrt3/2i" has i beside a fraction, and what brackets hold multiplies the quotient.
NodeId Descent::divisor(NodeId dividend, bool is_modulus) {
  const NodeId first = signed_factor();
  const auto is_literal = [this](NodeId id) {
    while (kind_of(id) == Kind::negate) id = node(id).children[0];
    return kind_of(id) == Kind::number;
  };
  if (!is_modulus && is_literal(dividend) && is_literal(first)) return first;
  std::vector<NodeId> factors = {first};
  while (begins_factor() && !peek().after_space && !peek().is_mark("(") && !peek().is_mark("[") &&
         !peek().is_mark("\\{") && !peek().is(TokenKind::name, "i") && !begins_differential()) {
    factors.push_back(power());
  }
  return multiplied(std::move(factors));
}

NodeId Descent::signed_factor() {
  const Level level(*this);
  if (accept("-")) return negated(signed_factor());
  if (accept("+")) return signed_factor();
  return unsigned_factor();
}

// A mixed number, "3\frac12", is one factor.
NodeId Descent::unsigned_factor() {
  const bool is_number = peek().kind == TokenKind::number;
  const std::size_t begin = at_;
  const NodeId whole = power();
  const bool is_whole = is_number && at_ == begin + 1 && kind_of(whole) == Kind::number &&
                        node(whole).text.find('.') == std::string::npos;
  if (!is_whole || !begins_fraction()) return whole;
  return make(Kind::add, {whole, fraction_after_whole()}, "mixed");
}

// Words and the exponent of a unit: "\text{cm}^2" is "cm^2".
std::string Descent::words() {
  std::string result;
  while (peek().kind == TokenKind::words) {
    for (const char c : peek().text) {
      if (c != ' ' && c != '.' && c != '~') result += to_lower(c);
    }
    next();
  }
  if (peek().is_mark("^") && (peek(1).kind == TokenKind::number || peek(1).is_mark("{"))) {
    next();
    const bool in_braces = accept("{");
    if (peek().kind != TokenKind::number) throw NotAnExpression{};
    result += "^" + peek().text;
    next();
    if (in_braces) expect("}");
  }
  return result;
}

bool Descent::begins_factor() const {
  const Token& token = peek();
  if (token.kind == TokenKind::number || token.kind == TokenKind::command ||
      token.kind == TokenKind::begin) {
    return true;
  }
  if (token.kind == TokenKind::name) {
    // "(1,2) U (3,4)"
    return !(token.text == "U" && peek(1).kind == TokenKind::mark &&
             (peek(1).text == "(" || peek(1).text == "[") && at_ > 0 &&
             (tokens_[at_ - 1].is_mark(")") || tokens_[at_ - 1].is_mark("]")));
  }
  if (token.kind != TokenKind::mark) return false;
  if (token.text == "|") {
    if (open_bars_ == 0) return true;
    if (opening_bars_ == 0) return false;
    const auto earlier =
        std::count_if(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(at_),
                      [](const Token& t) { return t.is_mark("|"); });
    return earlier < 32 && ((opening_bars_ >> earlier) & 1) != 0;
  }
  for (const std::string_view mark : {"(", "{", "\\{", "[", "lvert", "lfloor", "lceil"}) {
    if (token.text == mark) return true;
  }
  return false;
}

// \frac of two whole numbers, or "1/2" apart from the number before it.
bool Descent::begins_fraction() const {
  const auto is_whole = [this](std::size_t ahead) {
    return peek(ahead).kind == TokenKind::number && peek(ahead).text.find('.') == std::string::npos;
  };
  if (!peek().is(TokenKind::command, "frac")) {
    return is_whole(0) && peek().after_space && peek(1).is_mark("/") && is_whole(2);
  }
  std::size_t after = 1;
  for (int part = 0; part < 2; ++part) {
    if (is_whole(after)) {
      if (part == 0 && peek(after).text.size() > 1) return true;  // \frac12
      after += 1;
    } else if (peek(after).is_mark("{") && is_whole(after + 1) && peek(after + 2).is_mark("}")) {
      after += 3;
    } else {
      return false;
    }
  }
  return true;
}

NodeId Descent::fraction_after_whole() {
  if (peek().kind != TokenKind::number) return power();
  const NodeId numerator = number(peek().text);
  next();
  next();
  const NodeId denominator = number(peek().text);
  next();
  return make(Kind::divide, {numerator, denominator});
}

NodeId Descent::power() {
  const Level level(*this);
  const NodeId base = postfix(primary());
  if (!peek().is_mark("^")) return base;
  next();
  if (accept("degree")) return make(Kind::degree, {base});
  if (accept("'")) return prime(base);
  if (peek().is_mark("{") && peek(1).is_mark("degree") && peek(2).is_mark("}")) {
    at_ += 3;
    return postfix(make(Kind::degree, {base}));
  }
  if (accept("*")) return make(Kind::symbol, {}, "*");
  if (in_limit_point_ && accept_side()) return base;
  if (peek().is_mark("{") && peek(1).is_mark("'")) {
    next();
    static_cast<void>(accept("'"));
    const NodeId primed = prime(base);
    expect("}");
    return postfix(primed);
  }
  const NodeId exponent = accept("{") ? closed_list("}") : exponent_without_braces();
  if (peek().is_mark("_") && kind_of(base) == Kind::symbol) {  // x^2_1 is x_1^2
    return postfix(raised(subscript(base), exponent));
  }
  return postfix(raised(base, exponent));
}

// The + of 3^+ and 3^{+}, where a limit comes from.
bool Descent::accept_side() {
  const std::size_t in_braces = peek().is_mark("{") ? 1 : 0;
  const bool is_side = peek(in_braces).is_mark("+") || peek(in_braces).is_mark("-");
  if (!is_side || !peek(in_braces + 1).is_mark("}")) return false;
  limit_side_ = peek(in_braces).text;
  at_ += in_braces == 1 ? 3 : 1;
  return true;
}

NodeId Descent::exponent_without_braces() {
  if (accept("-")) return make(Kind::negate, {exponent_without_braces_positive()});
  return exponent_without_braces_positive();
}
// x^2^3 is x^(2^3).
NodeId Descent::exponent_without_braces_positive() {
  const NodeId base = primary();
  if (!accept("^")) return base;
  const Level level(*this);
  return make(Kind::power, {base, accept("{") ? closed_list("}") : exponent_without_braces()});
}

NodeId Descent::raised(NodeId base, NodeId exponent) {
  base = value_of(base);
  exponent = value_of(exponent);
  if (kind_of(base) != Kind::matrix) return make(Kind::power, {base, exponent});
  const std::string text = node(exponent).text;
  if (kind_of(exponent) == Kind::symbol &&
      (text == "T" || text == "\\top" || text == "\\intercal")) {
    return transposed(base);
  }
  const bool is_small = kind_of(exponent) == Kind::number && (text == "2" || text == "3");
  if (!is_small) throw NotAnExpression{};
  const NodeId square = matrix_product(base, base);
  return text == "2" ? square : matrix_product(square, base);
}

NodeId Descent::postfix(NodeId base) {
  for (;;) {
    if (accept("!")) {
      base = make(Kind::factorial, {base});
    } else if (accept("%")) {
      base = make(Kind::percent, {base});
    } else if (accept("degree")) {
      base = make(Kind::degree, {base});
    } else if (accept("'")) {
      base = prime(base);
    } else if (peek().is_mark("_")) {
      base = subscript(base);
    } else {
      return base;
    }
  }
}

// All primes that follow the first.
NodeId Descent::prime(NodeId base) {
  if (kind_of(base) != Kind::symbol) throw NotAnExpression{};
  std::string name = node(base).text + "'";
  while (accept("'")) name += '\'';
  if (name.size() > kMaxNameBytes) throw NotAnExpression{};
  return make(Kind::symbol, {}, std::move(name));
}

// Part of the name: x_1, a_{n+1}, 52_8.
NodeId Descent::subscript(NodeId base) {
  const Kind kind = kind_of(base);
  const bool named = kind == Kind::symbol || kind == Kind::constant || kind == Kind::number;
  if (!named) throw NotAnExpression{};
  next();
  std::string name = node(base).text + "_" + subscript_text();
  if (name.size() > kMaxNameBytes) throw NotAnExpression{};
  return make(Kind::symbol, {}, std::move(name));
}

std::string Descent::subscript_text() {
  std::string text;
  if (accept("{")) {
    for (std::size_t open = 1; open > 0; next()) {
      if (peek().kind == TokenKind::finish) throw NotAnExpression{};
      if (peek().is_mark("{")) ++open;
      if (peek().is_mark("}")) --open;
      if (open > 0) text += peek().text;
    }
    return text;
  }
  if (peek().kind == TokenKind::finish) throw NotAnExpression{};
  text = peek().text;
  next();
  return text;
}

}  // namespace zeroth::math
