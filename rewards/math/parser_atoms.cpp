// Names, numbers, and what brackets of every kind hold.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/descent.h"

namespace zeroth::math {

NodeId Descent::primary() {
  const Level level(*this);
  switch (peek().kind) {
    case TokenKind::number:
      return numeral();
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

NodeId Descent::numeral() {
  const std::string text = peek().text;
  next();
  const bool repeats = text.find('.') != std::string::npos &&
                       peek().is(TokenKind::command, "overline") && peek(1).is_mark("{") &&
                       peek(2).kind == TokenKind::number && peek(3).is_mark("}");
  return repeats ? repeating(text) : number(text);
}

// 0.1\overline{6} is (16 - 1) / 90.
NodeId Descent::repeating(const std::string& decimal) {
  const std::string period = peek(2).text;
  if (period.find('.') != std::string::npos) throw NotAnExpression{};
  at_ += 4;
  const std::size_t point = decimal.find('.');
  const std::string before = decimal.substr(0, point) + decimal.substr(point + 1);
  std::string all = before + period;
  // all -= before, digit by digit from the right.
  int borrow = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    char& digit = all[all.size() - 1 - i];
    const int taken = i < before.size() ? before[before.size() - 1 - i] - '0' : 0;
    int left = digit - '0' - taken - borrow;
    borrow = left < 0 ? 1 : 0;
    if (borrow != 0) left += 10;
    digit = static_cast<char>('0' + left);
  }
  const std::string below =
      std::string(period.size(), '9') + std::string(decimal.size() - point - 1, '0');
  const NodeId numerator = number(all);
  return make(Kind::divide, {numerator, number(below)});
}

NodeId Descent::name() {
  const std::string text = peek().text;
  next();
  if (is_function_name(text)) return function(text);
  if (std::find(indices_.begin(), indices_.end(), text) != indices_.end()) {
    return make(Kind::symbol, {}, text);
  }
  if (text == "pi" || text == "e" || text == "i" || text == "infinity") {
    return make(Kind::constant, {}, text);
  }
  if (text == "emptyset") return make(Kind::list, {});
  return make(Kind::symbol, {}, text);
}

NodeId Descent::enclosed() {
  const std::string open = peek().text;
  next();
  if (open == "(" || open == "[") return bracket(open);
  if (open == "{") return braces();
  if (open == "\\{") return set_braces();
  if (open == "|") return bars("|");
  if (open == "lvert") return bars("rvert");
  if (open == "lfloor" || open == "lceil") {
    const std::size_t outer_bars = std::exchange(open_bars_, 0);
    const NodeId inner = sum();
    open_bars_ = outer_bars;
    expect(open == "lfloor" ? "rfloor" : "rceil");
    return make(Kind::function, {inner}, open == "lfloor" ? "floor" : "ceil");
  }
  throw NotAnExpression{};
}

// An absolute value; of a matrix its determinant.
NodeId Descent::bars(std::string_view close) {
  const std::size_t outer_bars = open_bars_;
  open_bars_ = close == "|" ? open_bars_ + 1 : 0;
  const NodeId inner = sum();
  open_bars_ = outer_bars;
  // "\left|x|", "|x\right|" and "\lvert x|" are pairs as well.
  if (!accept("|")) expect("rvert");
  return kind_of(inner) == Kind::matrix ? determinant(inner) : make(Kind::function, {inner}, "abs");
}

NodeId Descent::closed_list(std::string_view close) {
  const std::size_t outer_bars = std::exchange(open_bars_, 0);
  const NodeId inner = list();
  open_bars_ = outer_bars;
  expect(close);
  return inner;
}

// { … }, and the older spellings {a \over b} and {n \choose k}.
NodeId Descent::braces() {
  if (accept("}")) return make(Kind::list, {});
  const std::size_t outer_bars = std::exchange(open_bars_, 0);
  NodeId inner = list();
  if (peek().is_mark("over") || peek().is_mark("choose")) {
    const bool is_fraction = accept("over");
    if (!is_fraction) next();
    const NodeId below = list();
    inner = is_fraction ? divided(inner, below) : make(Kind::binomial, {inner, below});
  }
  open_bars_ = outer_bars;
  expect("}");
  return inner;
}

// A set; of {x | x > 2} and {x : x > 2} the condition.
NodeId Descent::set_braces() {
  const auto close = [this] {
    if (!accept("\\}")) expect("}");  // "\left\{ … \right}"
  };
  if (accept("\\}")) return make(Kind::list, {});
  const std::size_t outer_bars = std::exchange(open_bars_, 1);
  NodeId inner = 0;
  const bool is_condition = peek().kind == TokenKind::name && peek(1).is_mark(":");
  if (is_condition) {
    at_ += 2;
    inner = relation();
  } else {
    inner = list();
    if (accept("|") || accept(":")) {
      open_bars_ = 0;
      inner = list();
      if (kind_of(inner) != Kind::relation) throw NotAnExpression{};
      open_bars_ = outer_bars;
      close();
      return inner;
    }
  }
  open_bars_ = outer_bars;
  close();
  if (is_condition) return inner;
  return kind_of(inner) == Kind::list ? inner : make(Kind::list, {inner});
}

// Parentheses around one value are only parentheses.
NodeId Descent::bracket(const std::string& open) {
  const std::size_t outer_bars = std::exchange(open_bars_, 0);
  const NodeId inner = list();
  open_bars_ = outer_bars;
  const bool is_round = accept(")");
  if (!is_round) expect("]");
  const std::string pair = open + (is_round ? ")" : "]");
  if (kind_of(inner) != Kind::list || node(inner).children.empty()) {
    if (pair == "()" || pair == "[]") return inner;
    throw NotAnExpression{};
  }
  std::vector<NodeId> items = node(inner).children;
  return make(Kind::bracket, std::move(items), pair);
}

// An argument of a command: braces, or one token, of which a number gives its first digit.
NodeId Descent::argument() {
  if (accept("{")) return braces();
  Token& token = current();
  if (token.kind == TokenKind::number && token.text.size() > 1) {
    const std::string digit = token.text.substr(0, 1);
    token.text.erase(0, 1);
    token.after_space = false;
    return number(digit);
  }
  return primary();
}

}  // namespace zeroth::math
