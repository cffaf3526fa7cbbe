#include "rewards/math/parser.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/tokens.h"
#include "system/ascii.h"

namespace zeroth::math {
namespace {

struct NotAnExpression {};  // thrown within this file only

// Brackets within brackets. Far above what answers need, and low enough that giving up is cheap.
constexpr int kMaxNesting = 32;

bool is_nested_too_deeply(const std::vector<Token>& tokens) {
  static constexpr std::string_view kOpening[] = {"(", "[", "{", "\\{", "lfloor", "lceil"};
  static constexpr std::string_view kClosing[] = {")", "]", "}", "\\}", "rfloor", "rceil"};
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

// By recursive descent; each function reads one level of precedence, the loosest first.
class Parser {
 public:
  Parser(std::vector<Token> tokens, const ExpressionLimits& limits)
      : tokens_(std::move(tokens)), limits_(limits) {}

  Expression run() {
    const NodeId root = list();
    if (peek().kind != TokenKind::finish) throw NotAnExpression{};
    expression_.root = root;
    return std::move(expression_);
  }

 private:
  // Counts the levels of the recursion.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.level_ > parser_.limits_.max_depth) throw NotAnExpression{};
    }
    ~Level() { --parser_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token& current() { return tokens_[std::min(at_, tokens_.size() - 1)]; }
  void next() { at_ = std::min(at_ + 1, tokens_.size() - 1); }
  bool accept(std::string_view mark) {
    if (!peek().is_mark(mark)) return false;
    next();
    return true;
  }
  void expect(std::string_view mark) {
    if (!accept(mark)) throw NotAnExpression{};
  }

  NodeId make(Kind kind, std::vector<NodeId> children, std::string text = "") {
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
  NodeId number(std::string text) { return make(Kind::number, {}, std::move(text)); }
  Kind kind_of(NodeId id) const { return expression_.at(id).kind; }

  // a, b; c and d. A separator may be written twice (", and"), but stands between two items.
  NodeId list() {
    const Level level(*this);
    std::vector<NodeId> items = {relation()};
    while (separator()) items.push_back(relation());
    return items.size() == 1 ? items[0] : make(Kind::list, std::move(items));
  }

  bool separator() {
    bool found = false;
    while (accept(",") || accept(";")) found = true;
    return found;
  }

  // a = b, a < b < c; what follows ≈ only repeats what stands before it.
  NodeId relation() {
    std::vector<NodeId> sides = {set_union()};
    std::vector<std::string> operators;
    while (peek().kind == TokenKind::relation) {
      operators.push_back(peek().text);
      next();
      sides.push_back(set_union());
    }
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
      links.push_back(make(Kind::relation, {sides[i], sides[i + 1]}, operators[i]));
    }
    return links.size() == 1 ? links[0] : make(Kind::relation, std::move(links), "chain");
  }

  NodeId set_union() {
    std::vector<NodeId> parts = {ratio()};
    while (accept("cup")) parts.push_back(ratio());
    return parts.size() == 1 ? parts[0] : make(Kind::set_union, std::move(parts));
  }

  NodeId ratio() {
    std::vector<NodeId> parts = {sum()};
    while (accept(":")) parts.push_back(sum());
    return parts.size() == 1 ? parts[0] : make(Kind::ratio, std::move(parts));
  }

  NodeId sum() {
    const Level level(*this);
    std::vector<NodeId> terms;
    if (accept("pm")) {
      terms.push_back(make(Kind::plus_minus, {product()}, "+"));
    } else if (accept("mp")) {
      terms.push_back(make(Kind::plus_minus, {product()}, "-"));
    } else {
      terms.push_back(product());
    }
    for (;;) {
      if (accept("+")) {
        terms.push_back(product());
      } else if (accept("-")) {
        terms.push_back(make(Kind::negate, {product()}));
      } else if (accept("pm")) {
        terms.push_back(make(Kind::plus_minus, {product()}, "+"));
      } else if (accept("mp")) {
        terms.push_back(make(Kind::plus_minus, {product()}, "-"));
      } else {
        return terms.size() == 1 ? terms[0] : make(Kind::add, std::move(terms));
      }
    }
  }

  NodeId signed_factor() {
    const Level level(*this);
    if (accept("-")) return make(Kind::negate, {signed_factor()});
    if (accept("+")) return signed_factor();
    return power();
  }

  // Products and quotients from left to right; words after a value are its unit.
  NodeId product() {
    const Level level(*this);
    const std::size_t begin = at_;
    NodeId result = signed_factor();
    bool is_mixed_whole = at_ == begin + 1 && kind_of(result) == Kind::number;
    std::vector<NodeId> factors = {result};
    for (;;) {
      if (accept("*")) {
        factors.push_back(signed_factor());
      } else if (accept("/")) {
        factors = {make(Kind::divide, {multiplied(std::move(factors)), signed_factor()})};
      } else if (peek().kind == TokenKind::words) {
        const std::string unit = words();
        if (factors.size() == 1 && kind_of(factors[0]) == Kind::words) {
          factors = {make(Kind::words, {}, expression_.at(factors[0]).text + unit)};
        } else {
          factors = {make(Kind::unit, {multiplied(std::move(factors))}, unit)};
        }
      } else if (begins_factor()) {
        if (is_mixed_whole && begins_fraction()) {
          factors = {make(Kind::add, {factors[0], fraction_after_whole()}, "mixed")};
        } else {
          factors.push_back(power());
        }
      } else {
        return multiplied(std::move(factors));
      }
      is_mixed_whole = false;
    }
  }

  NodeId multiplied(std::vector<NodeId> factors) {
    return factors.size() == 1 ? factors[0] : make(Kind::multiply, std::move(factors));
  }

  // Words and the exponent of a unit: "\text{cm}^2" is "cm^2".
  std::string words() {
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

  bool begins_factor() const {
    const Token& token = peek();
    if (token.kind == TokenKind::number || token.kind == TokenKind::name ||
        token.kind == TokenKind::command || token.kind == TokenKind::begin) {
      return true;
    }
    if (token.kind != TokenKind::mark) return false;
    if (token.text == "|") return open_bars_ == 0;
    for (const std::string_view mark : {"(", "{", "\\{", "[", "lfloor", "lceil"}) {
      if (token.text == mark) return true;
    }
    return false;
  }

  // \frac of two numbers, or "1/2" apart from the number before it.
  bool begins_fraction() const {
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

  NodeId fraction_after_whole() {
    if (peek().kind != TokenKind::number) return power();
    const NodeId numerator = number(peek().text);
    next();
    next();
    const NodeId denominator = number(peek().text);
    next();
    return make(Kind::divide, {numerator, denominator});
  }

  NodeId power() {
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
    const NodeId exponent = accept("{") ? closed_list("}") : exponent_without_braces();
    return postfix(make(Kind::power, {base, exponent}));
  }

  NodeId exponent_without_braces() {
    if (accept("-")) return make(Kind::negate, {exponent_without_braces_positive()});
    return exponent_without_braces_positive();
  }
  // x^2^3 is x^(2^3).
  NodeId exponent_without_braces_positive() {
    const NodeId base = primary();
    if (!accept("^")) return base;
    const Level level(*this);
    return make(Kind::power, {base, accept("{") ? closed_list("}") : exponent_without_braces()});
  }

  NodeId closed_list(std::string_view close) {
    const NodeId inner = list();
    expect(close);
    return inner;
  }

  NodeId prime(NodeId base) {
    if (kind_of(base) != Kind::symbol) throw NotAnExpression{};
    return make(Kind::symbol, {}, expression_.at(base).text + "'");
  }

  NodeId postfix(NodeId base) {
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

  // Part of the name: x_1, a_{n+1}, 52_8.
  NodeId subscript(NodeId base) {
    const Kind kind = kind_of(base);
    const bool named = kind == Kind::symbol || kind == Kind::constant || kind == Kind::number;
    if (!named) throw NotAnExpression{};
    next();
    std::string name = expression_.at(base).text + "_";
    if (accept("{")) {
      for (std::size_t open = 1; open > 0; next()) {
        if (peek().kind == TokenKind::finish) throw NotAnExpression{};
        if (peek().is_mark("{")) ++open;
        if (peek().is_mark("}")) --open;
        if (open > 0) name += peek().text;
      }
    } else {
      name += peek().text;
      if (peek().kind == TokenKind::finish) throw NotAnExpression{};
      next();
    }
    return make(Kind::symbol, {}, std::move(name));
  }

  NodeId primary() {
    const Level level(*this);
    const Token token = peek();
    switch (token.kind) {
      case TokenKind::number:
        next();
        return number(token.text);
      case TokenKind::name:
        return name();
      case TokenKind::command:
        return command();
      case TokenKind::begin:
        return environment();
      case TokenKind::words:
        return make(Kind::words, {}, words());
      case TokenKind::mark:
        return enclosed();
      case TokenKind::relation:
      case TokenKind::end:
      case TokenKind::finish:
        break;
    }
    throw NotAnExpression{};
  }

  NodeId name() {
    const std::string text = peek().text;
    next();
    if (is_function_name(text)) return function(text);
    if (text == "pi" || text == "e" || text == "i" || text == "infinity") {
      return make(Kind::constant, {}, text);
    }
    return make(Kind::symbol, {}, text);
  }

  // \sin^2 x, \log_2 8, ln(x): the argument is a pair of parentheses, or all that is multiplied
  // up to the next function.
  NodeId function(const std::string& name) {
    NodeId base = 0;
    bool has_base = false;
    if (name == "log" && accept("_")) {
      base = argument();
      has_base = true;
    }
    NodeId exponent = 0;
    bool has_exponent = false;
    if (accept("^")) {
      exponent = argument();
      has_exponent = true;
    }
    const NodeId operand = function_argument();
    NodeId result = 0;
    if (has_base) {
      result = make(Kind::log, {base, operand});
    } else if (name == "lg") {
      result = make(Kind::log, {number("10"), operand});
    } else {
      result = make(Kind::function, {operand}, name == "log" ? "ln" : name);
    }
    return has_exponent ? make(Kind::power, {result, exponent}) : result;
  }

  NodeId function_argument() {
    if (peek().is_mark("(") || peek().is_mark("{") || peek().is_mark("[") || peek().is_mark("|")) {
      return postfix(primary());
    }
    const bool negative = accept("-");
    std::vector<NodeId> factors = {power()};
    while (begins_factor() && !peek().is_mark("(") &&
           !(peek().kind == TokenKind::name && is_function_name(peek().text))) {
      factors.push_back(power());
    }
    NodeId result = multiplied(std::move(factors));
    if (accept("/")) result = make(Kind::divide, {result, power()});
    return negative ? make(Kind::negate, {result}) : result;
  }

  // An argument of a command: braces, or one token, of which a number gives its first digit.
  NodeId argument() {
    if (accept("{")) return closed_list("}");
    Token& token = current();
    if (token.kind == TokenKind::number && token.text.size() > 1) {
      const std::string digit = token.text.substr(0, 1);
      token.text.erase(0, 1);
      token.after_space = false;
      return number(digit);
    }
    return primary();
  }

  NodeId command() {
    const std::string name = peek().text;
    next();
    if (name == "boxed") return argument();
    if (name == "frac" || name == "binom") {
      const NodeId above = argument();
      const NodeId below = argument();
      return make(name == "frac" ? Kind::divide : Kind::binomial, {above, below});
    }
    // sqrt
    if (accept("[")) {
      const NodeId index = closed_list("]");
      const NodeId radicand = argument();
      return make(Kind::root, {index, radicand});
    }
    const NodeId radicand = peek().is_mark("(") ? primary() : argument();
    return make(Kind::root, {number("2"), radicand});
  }

  NodeId enclosed() {
    const std::string open = peek().text;
    next();
    if (open == "(" || open == "[") return bracket(open);
    if (open == "{") return closed_list("}");
    if (open == "\\{") {
      const NodeId inner = list();
      expect("\\}");
      return kind_of(inner) == Kind::list ? inner : make(Kind::list, {inner});
    }
    if (open == "|") {
      ++open_bars_;
      const NodeId inner = sum();
      --open_bars_;
      expect("|");
      return make(Kind::function, {inner}, "abs");
    }
    if (open == "lfloor" || open == "lceil") {
      const NodeId inner = sum();
      expect(open == "lfloor" ? "rfloor" : "rceil");
      return make(Kind::function, {inner}, open == "lfloor" ? "floor" : "ceil");
    }
    throw NotAnExpression{};
  }

  // Parentheses around one value are only parentheses.
  NodeId bracket(const std::string& open) {
    const std::size_t bars = std::exchange(open_bars_, 0);
    NodeId inner = list();
    open_bars_ = bars;
    const bool is_round = accept(")");
    if (!is_round) expect("]");
    const std::string pair = open + (is_round ? ")" : "]");
    if (kind_of(inner) != Kind::list) {
      if (pair == "()" || pair == "[]") return inner;
      throw NotAnExpression{};
    }
    std::vector<NodeId> items = expression_.at(inner).children;
    return make(Kind::bracket, std::move(items), pair);
  }

  NodeId environment() {
    const Level level(*this);
    const std::string name = peek().text;
    static constexpr std::string_view kMatrices[] = {"pmatrix", "bmatrix", "matrix",     "vmatrix",
                                                     "Bmatrix", "array",   "smallmatrix"};
    if (std::find(std::begin(kMatrices), std::end(kMatrices), name) == std::end(kMatrices)) {
      throw NotAnExpression{};
    }
    next();
    std::vector<NodeId> cells;
    std::size_t columns = 0, in_row = 0;
    for (;;) {
      if (peek().kind == TokenKind::end) break;
      cells.push_back(sum());
      ++in_row;
      if (accept("&")) continue;
      if (columns != 0 && in_row != columns) throw NotAnExpression{};
      columns = std::exchange(in_row, 0);
      if (!accept("\\\\")) break;
    }
    if (peek().kind != TokenKind::end || peek().text != name || cells.empty() || in_row != 0) {
      throw NotAnExpression{};
    }
    next();
    return make(Kind::matrix, std::move(cells), std::to_string(columns));
  }

  std::vector<Token> tokens_;
  const ExpressionLimits& limits_;
  std::size_t at_ = 0;
  std::uint32_t level_ = 0;
  std::size_t open_bars_ = 0;  // | that wait for their second
  Expression expression_;
};

}  // namespace

std::optional<Expression> parse_expression(std::vector<Token> tokens,
                                           const ExpressionLimits& limits) {
  if (is_nested_too_deeply(tokens)) return std::nullopt;
  try {
    return Parser(std::move(tokens), limits).run();
  } catch (const NotAnExpression&) {
    return std::nullopt;
  }
}

std::optional<Expression> parse_expression(std::string_view text, const ExpressionLimits& limits) {
  return parse_expression(tokenize(text), limits);
}

}  // namespace zeroth::math
