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
// A longer text has more nodes than are allowed, or says little with many brackets.
constexpr std::size_t kMaxTokensPerNode = 3;
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

// "\left|x|" says only half of which bar opens: then all bars are as if nothing had been said.
void forget_sides(std::vector<Token>& tokens) {
  const auto count = [&tokens](std::string_view mark) {
    return std::count_if(tokens.begin(), tokens.end(),
                         [mark](const Token& token) { return token.is_mark(mark); });
  };
  if (count("lvert") == count("rvert")) return;
  for (Token& token : tokens) {
    if (token.is_mark("lvert") || token.is_mark("rvert")) token.text = "|";
  }
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

// ---- The whole --------------------------------------------------------------------------------

// A bar after a value closes; where that leads nowhere, as in ||x||y||, the bars of a short text
// are tried in other ways.
std::optional<Expression> parse_expression(std::vector<Token> tokens,
                                           const ExpressionLimits& limits) {
  if (tokens.size() > kMaxTokensPerNode * limits.max_nodes) return std::nullopt;
  if (is_nested_too_deeply(tokens)) return std::nullopt;
  forget_sides(tokens);
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
