#include "rewards/math/arithmetic.h"

#include <algorithm>
#include <memory>

#include "rewards/math/evaluation.h"
#include "rewards/math/parser.h"

namespace zeroth::math {
namespace {

std::string text_of(const Rational& value) {
  const std::unique_ptr<char, decltype(&flint_free)> text(fmpq_get_str(nullptr, 10, value.get()),
                                                          &flint_free);
  return text.get();
}

bool is_operation(const Node& node) {
  switch (node.kind) {
    case Kind::number:
    case Kind::negate:
    case Kind::multiply:
    case Kind::divide:
      return true;
    case Kind::add:
      return node.text.empty();  // a mixed number is one number, not two
    default:
      return false;
  }
}

bool is_literal(const Expression& expression, NodeId id) {
  const Node& node = expression.at(id);
  if (node.kind == Kind::negate) return is_literal(expression, node.children[0]);
  return node.kind == Kind::number;
}

// 24, -24, 3/2, -3/2.
bool is_number(const Expression& expression, NodeId id) {
  const Node& node = expression.at(id);
  if (node.kind == Kind::negate) return is_number(expression, node.children[0]);
  if (node.kind != Kind::divide) return is_literal(expression, id);
  return std::all_of(node.children.begin(), node.children.end(),
                     [&](NodeId part) { return is_literal(expression, part); });
}

// The expression below an equation's left side, or below the root.
NodeId left_side(const Expression& expression) {
  const Node& root = expression.at(expression.root);
  const bool is_equation = root.kind == Kind::relation && root.text == "=" &&
                           root.children.size() == 2 && is_number(expression, root.children[1]);
  return is_equation ? root.children[0] : expression.root;
}

// False for what is no arithmetic.
bool collect_numbers(const Expression& expression, NodeId id, std::vector<std::string>& numbers) {
  const Node& node = expression.at(id);
  if (!is_operation(node)) return false;
  if (node.kind == Kind::number) {
    const std::optional<Rational> value = literal_value(node.text);
    if (!value) return false;
    numbers.push_back(text_of(*value));
  }
  return std::all_of(node.children.begin(), node.children.end(),
                     [&](NodeId child) { return collect_numbers(expression, child, numbers); });
}

bool has_numbers_side_by_side(const std::vector<Token>& tokens) {
  return std::adjacent_find(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) {
           return a.kind == TokenKind::number && b.kind == TokenKind::number;
         }) != tokens.end();
}

}  // namespace

std::optional<Arithmetic> read_arithmetic(std::string_view text) {
  if (text.size() > kMaxArithmeticBytes) return std::nullopt;
  std::vector<Token> tokens = tokenize(text);
  if (has_numbers_side_by_side(tokens)) return std::nullopt;
  const std::optional<Expression> expression = parse_expression(std::move(tokens));
  if (!expression) return std::nullopt;
  const NodeId id = left_side(*expression);
  Arithmetic arithmetic;
  if (!collect_numbers(*expression, id, arithmetic.numbers)) return std::nullopt;
  Budget budget;
  const std::optional<Rational> value = exact_value(*expression, id, budget);
  if (value) arithmetic.value = text_of(*value);
  if (id == expression->root) return arithmetic;
  const NodeId right = expression->at(expression->root).children[1];
  const std::optional<Rational> claimed = exact_value(*expression, right, budget);
  const bool holds = value && claimed && fmpq_equal(value->get(), claimed->get()) != 0;
  return holds ? std::optional(arithmetic) : std::nullopt;
}

std::optional<std::string> lowest_terms(std::string_view number) {
  if (number.size() > kMaxArithmeticBytes) return std::nullopt;
  const std::optional<Expression> expression = parse_expression(number);
  if (!expression || !is_number(*expression, expression->root)) return std::nullopt;
  Budget budget;
  const std::optional<Rational> value = exact_value(*expression, expression->root, budget);
  return value ? std::optional(text_of(*value)) : std::nullopt;
}

}  // namespace zeroth::math
