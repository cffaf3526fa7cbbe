#include "rewards/math/parser.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/descent.h"
#include "rewards/math/tokens.h"
#include "system/ascii.h"

namespace zeroth::math {
namespace {

// Brackets within brackets. Far above what answers need, and low enough that giving up is cheap.
constexpr int kMaxNesting = 32;
// Of a symbol with its indices and primes.
constexpr std::size_t kMaxNameBytes = 200;
// Texts whose bars are tried in more than one way.
constexpr std::size_t kMaxTokensWithBars = 64;
constexpr std::uint32_t kMaxWaysOfBars = 16;

bool is_nested_too_deeply(const std::vector<Token>& tokens) {
  static constexpr std::string_view kOpening[] = {"(", "[", "{", "\\{", "lfloor", "lceil", "lvert"};
  static constexpr std::string_view kClosing[] = {")", "]", "}", "\\}", "rfloor", "rceil", "rvert"};
  int nesting = 0;
  for (const Token& token : tokens) {
    if (token.kind != TokenKind::mark) continue;
    if (std::find(std::begin(kOpening), std::end(kOpening), token.text) != std::end(kOpening)) {
      if (++nesting > kMaxNesting) return true;
    } else if (std::find(std::begin(kClosing), std::end(kClosing), token.text) !=
               std::end(kClosing)) {
      --nesting;
    }
  }
  return false;
}

std::optional<Expression> parse_with_bars(std::vector<Token> tokens, const ExpressionLimits& limits,
                                          std::uint32_t opening_bars) {
  try {
    return Descent(std::move(tokens), limits, opening_bars).run();
  } catch (const NotAnExpression&) {
    return std::nullopt;
  }
}

}  // namespace

// ---- Tokens -----------------------------------------------------------------------------------

Descent::Descent(std::vector<Token> tokens, const ExpressionLimits& limits,
                 std::uint32_t opening_bars)
    : tokens_(std::move(tokens)), limits_(limits), opening_bars_(opening_bars) {}

Expression Descent::run() {
  const NodeId root = list();
  if (peek().kind != TokenKind::finish) throw NotAnExpression{};
  expression_.root = root;
  return std::move(expression_);
}

const Token& Descent::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}
Token& Descent::current() {
  return tokens_[std::min(at_, tokens_.size() - 1)];
}
void Descent::next() {
  at_ = std::min(at_ + 1, tokens_.size() - 1);
}
bool Descent::accept(std::string_view mark) {
  if (!peek().is_mark(mark)) return false;
  next();
  return true;
}
bool Descent::accept_relation(std::string_view relation) {
  if (!peek().is(TokenKind::relation, relation)) return false;
  next();
  return true;
}
void Descent::expect(std::string_view mark) {
  if (!accept(mark)) throw NotAnExpression{};
}

// ---- Nodes ------------------------------------------------------------------------------------

NodeId Descent::make(Kind kind, std::vector<NodeId> children, std::string text) {
  if (expression_.nodes.size() >= limits_.max_nodes) throw NotAnExpression{};
  std::uint32_t depth = 1;
  for (const NodeId child : children) {
    depth = std::max(depth, expression_.at(child).depth + 1);
  }
  if (depth > limits_.max_depth) throw NotAnExpression{};
  expression_.nodes.push_back(
      {.kind = kind, .depth = depth, .children = std::move(children), .text = std::move(text)});
  return static_cast<NodeId>(expression_.nodes.size() - 1);
}

// \{1+2\} among terms and factors is a sum in brackets.
NodeId Descent::value_of(NodeId id) const {
  const Node& it = node(id);
  return it.kind == Kind::list && it.children.size() == 1 ? it.children[0] : id;
}

NodeId Descent::added(std::vector<NodeId> terms) {
  if (terms.size() == 1) return terms[0];
  for (NodeId& term : terms) term = value_of(term);
  const bool matrices = std::any_of(terms.begin(), terms.end(),
                                    [this](NodeId id) { return kind_of(id) == Kind::matrix; });
  return matrices ? matrix_sum(terms) : make(Kind::add, std::move(terms));
}

NodeId Descent::multiplied(std::vector<NodeId> factors) {
  if (factors.size() == 1) return factors[0];
  for (NodeId& factor : factors) factor = value_of(factor);
  const auto first_matrix = std::find_if(factors.begin(), factors.end(),
                                         [this](NodeId id) { return kind_of(id) == Kind::matrix; });
  if (first_matrix == factors.end()) return make(Kind::multiply, std::move(factors));
  NodeId result = *first_matrix;
  for (auto factor = factors.begin(); factor != factors.end(); ++factor) {
    if (factor == first_matrix) continue;
    result = kind_of(*factor) == Kind::matrix ? matrix_product(result, *factor)
                                              : scaled(result, *factor);
  }
  return result;
}

NodeId Descent::divided(NodeId above, NodeId below) {
  above = value_of(above);
  below = value_of(below);
  if (kind_of(above) != Kind::matrix) return make(Kind::divide, {above, below});
  return scaled(above, make(Kind::divide, {number("1"), below}));
}

NodeId Descent::negated(NodeId id) {
  id = value_of(id);
  if (kind_of(id) != Kind::matrix) return make(Kind::negate, {id});
  return scaled(id, make(Kind::negate, {number("1")}));
}

// ---- Lists, relations, sets -------------------------------------------------------------------

// a, b; c and d. A separator may be written twice (", and"), but stands between two items.
NodeId Descent::list() {
  const Level level(*this);
  std::vector<NodeId> items = {relation()};
  std::vector<std::size_t> groups;  // where semicolons end one
  bool has_commas = false;
  while (peek().is_mark(",") || peek().is_mark(";")) {
    bool semicolon = false;
    while (peek().is_mark(",") || peek().is_mark(";")) {
      semicolon = semicolon || peek().is_mark(";");
      next();
    }
    if (semicolon) groups.push_back(items.size());
    has_commas = has_commas || !semicolon;
    items.push_back(relation());
  }
  if (items.size() == 1) return items[0];
  const bool are_equations = std::all_of(items.begin(), items.end(), [this](NodeId id) {
    return kind_of(id) == Kind::relation && node(id).text == "=";
  });
  groups.push_back(items.size());
  const bool are_solutions = are_equations && has_commas && groups.size() > 1;
  return are_solutions ? solutions(items, groups) : listed(std::move(items));
}

// "x = 1, y = 2; x = 3, y = 4" is two pairs.
NodeId Descent::solutions(const std::vector<NodeId>& items, const std::vector<std::size_t>& ends) {
  std::vector<NodeId> tuples;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    std::vector<NodeId> group(items.begin() + static_cast<std::ptrdiff_t>(begin),
                              items.begin() + static_cast<std::ptrdiff_t>(end));
    tuples.push_back(group.size() == 1 ? group[0] : make(Kind::bracket, std::move(group), "()"));
    begin = end;
  }
  return make(Kind::list, std::move(tuples));
}

// "k = 1, 2, 3" says that k is one of three.
NodeId Descent::listed(std::vector<NodeId> items) {
  const Node& first = node(items[0]);
  const bool others_are_values = std::none_of(
      items.begin() + 1, items.end(), [this](NodeId id) { return kind_of(id) == Kind::relation; });
  if (first.kind == Kind::relation && (first.text == "=" || first.text == "in") &&
      kind_of(first.children[0]) == Kind::symbol && others_are_values) {
    const std::string text = first.text;
    const NodeId symbol = first.children[0];
    items[0] = first.children[1];
    return make(Kind::relation, {symbol, make(Kind::list, std::move(items))}, text);
  }
  return make(Kind::list, std::move(items));
}

// a = b, a < b < c; what follows ≈ only repeats what stands before it.
NodeId Descent::relation() {
  std::vector<NodeId> sides = {set_expression()};
  std::vector<std::string> operators;
  while (peek().kind == TokenKind::relation) {
    operators.push_back(peek().text);
    next();
    sides.push_back(set_expression());
  }
  return related(std::move(sides), std::move(operators));
}

NodeId Descent::related(std::vector<NodeId> sides, std::vector<std::string> operators) {
  const auto approximate = std::find(operators.begin(), operators.end(), "approx");
  const auto exact = static_cast<std::size_t>(approximate - operators.begin());
  if (approximate == operators.end() || exact > 0 || operators.size() == 1) {
    operators.resize(std::min(operators.size(), exact));
    sides.resize(operators.size() + 1);
  }
  if (operators.empty()) return sides[0];
  // a = b = … = z says what a is: z.
  if (std::all_of(operators.begin(), operators.end(), [](const auto& o) { return o == "="; })) {
    return make(Kind::relation, {sides.front(), sides.back()}, "=");
  }
  std::vector<NodeId> links;
  for (std::size_t i = 0; i < operators.size(); ++i) {
    const bool turned = operators[i] == "superset";
    links.push_back(make(Kind::relation, {sides[turned ? i + 1 : i], sides[turned ? i : i + 1]},
                         turned ? "subset" : operators[i]));
  }
  return links.size() == 1 ? links[0] : make(Kind::relation, std::move(links), "chain");
}

// From left to right.
NodeId Descent::set_expression() {
  std::vector<NodeId> parts = {ratio()};
  for (;;) {
    const bool letter = peek().is(TokenKind::name, "U") && kind_of(parts.back()) == Kind::bracket;
    if (letter || peek().is_mark("cup")) {
      next();
      parts.push_back(ratio());
      continue;
    }
    const Kind kind = peek().is_mark("cap") ? Kind::set_intersection : Kind::set_difference;
    const bool is_difference = peek().is_mark("setminus");
    if (kind == Kind::set_difference && !is_difference) break;
    next();
    const NodeId left = parts.size() == 1 ? parts[0] : make(Kind::set_union, std::move(parts));
    const NodeId right = ratio();
    parts = {make(kind, {left, right})};
  }
  return parts.size() == 1 ? parts[0] : make(Kind::set_union, std::move(parts));
}

NodeId Descent::ratio() {
  std::vector<NodeId> parts = {sum()};
  while (accept(":")) parts.push_back(sum());
  return parts.size() == 1 ? parts[0] : make(Kind::ratio, std::move(parts));
}

// ---- Sums, products, powers -------------------------------------------------------------------

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
      next();
      variables_.back() = peek().text;
      next();
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
  if (!is_number || at_ != begin + 1 || kind_of(whole) != Kind::number || !begins_fraction()) {
    return whole;
  }
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

// \frac of two numbers, or "1/2" apart from the number before it.
bool Descent::begins_fraction() const {
  if (peek().is(TokenKind::command, "frac")) {
    std::size_t i = 1;
    int numbers = 0;
    while (peek(i).kind == TokenKind::number || peek(i).is_mark("{") || peek(i).is_mark("}")) {
      if (peek(i).kind == TokenKind::number) ++numbers;
      if (numbers == 2 && !peek(i + 1).is_mark("}")) break;
      ++i;
    }
    return numbers >= 1 && numbers <= 2;
  }
  return peek().kind == TokenKind::number && peek().after_space && peek(1).is_mark("/") &&
         peek(2).kind == TokenKind::number;
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

// ---- The whole --------------------------------------------------------------------------------

// A bar after a value closes; where that leads nowhere, as in ||x||y||, the bars of a short text
// are tried in other ways.
std::optional<Expression> parse_expression(std::vector<Token> tokens,
                                           const ExpressionLimits& limits) {
  if (is_nested_too_deeply(tokens)) return std::nullopt;
  const auto bars = std::count_if(tokens.begin(), tokens.end(),
                                  [](const Token& token) { return token.is_mark("|"); });
  if (bars < 4 || tokens.size() > kMaxTokensWithBars) {
    return parse_with_bars(std::move(tokens), limits, 0);
  }
  for (std::uint32_t way = 0; way < kMaxWaysOfBars; ++way) {
    if (std::optional<Expression> result = parse_with_bars(tokens, limits, way << 2)) return result;
  }
  return std::nullopt;
}

std::optional<Expression> parse_expression(std::string_view text, const ExpressionLimits& limits) {
  return parse_expression(tokenize(text), limits);
}

}  // namespace zeroth::math
