// Matrices, what is computed with them while reading, and cases.
#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/descent.h"

namespace zeroth::math {
namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

NodeId Descent::environment() {
  const Level level(*this);
  const std::string name = peek().text;
  next();
  const std::size_t outer_bars = std::exchange(open_bars_, 0);
  NodeId result = 0;
  if (is_one_of(name, {"pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "Vmatrix", "array",
                       "smallmatrix"})) {
    result = matrix();
  } else if (is_one_of(name, {"cases", "dcases", "rcases"})) {
    result = cases();
  } else if (is_aligned_environment(name)) {
    result = rows();
  } else {
    throw NotAnExpression{};
  }
  open_bars_ = outer_bars;
  if (peek().kind != TokenKind::end || peek().text != name) throw NotAnExpression{};
  next();
  return name == "vmatrix" ? determinant(result) : result;
}

NodeId Descent::matrix() {
  std::vector<NodeId> cells;
  std::size_t columns = 0, in_row = 0;
  while (peek().kind != TokenKind::end) {
    cells.push_back(sum());
    ++in_row;
    if (accept("&")) continue;
    if (columns != 0 && in_row != columns) throw NotAnExpression{};
    columns = std::exchange(in_row, 0);
    if (!accept("\\\\")) break;
  }
  if (cells.empty() || in_row != 0) throw NotAnExpression{};
  return make(Kind::matrix, std::move(cells), std::to_string(columns));
}

// Rows of a value and when it holds; without conditions, a system of equations.
NodeId Descent::cases() {
  std::vector<NodeId> parts;
  bool has_conditions = false, is_complete = false;
  while (peek().kind != TokenKind::end) {
    if (is_complete) throw NotAnExpression{};
    parts.push_back(relation());
    static_cast<void>(accept(","));
    if (accept("&")) {
      has_conditions = true;
      const bool has_words = peek().kind == TokenKind::words;
      if (has_words) static_cast<void>(words());  // if, for, otherwise
      if (peek().is_mark("\\\\") || peek().kind == TokenKind::end) {
        is_complete = true;
      } else {
        parts.push_back(relation());
      }
    }
    if (!accept("\\\\")) break;
  }
  if (parts.empty()) throw NotAnExpression{};
  if (has_conditions) return make(Kind::piecewise, std::move(parts));
  return parts.size() == 1 ? parts[0] : make(Kind::list, std::move(parts));
}

// Lines of answers.
NodeId Descent::rows() {
  std::vector<NodeId> lines;
  while (peek().kind != TokenKind::end) {
    lines.push_back(list());
    if (!accept("\\\\")) break;
  }
  if (lines.empty()) throw NotAnExpression{};
  return lines.size() == 1 ? lines[0] : make(Kind::list, std::move(lines));
}

std::size_t Descent::columns_of(NodeId matrix) const {
  return static_cast<std::size_t>(std::stoul(node(matrix).text));
}

NodeId Descent::determinant(NodeId matrix) {
  const std::size_t columns = columns_of(matrix);
  if (columns * columns != node(matrix).children.size()) throw NotAnExpression{};
  return make(Kind::function, {matrix}, "det");
}

NodeId Descent::trace(NodeId matrix) {
  const std::size_t columns = columns_of(matrix);
  if (columns * columns != node(matrix).children.size()) throw NotAnExpression{};
  std::vector<NodeId> diagonal;
  for (std::size_t i = 0; i < columns; ++i) {
    diagonal.push_back(node(matrix).children[i * columns + i]);
  }
  return added(std::move(diagonal));
}

NodeId Descent::transposed(NodeId matrix) {
  const std::vector<NodeId> cells = node(matrix).children;
  const std::size_t columns = columns_of(matrix), rows = cells.size() / columns;
  std::vector<NodeId> result;
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t i = 0; i < rows; ++i) result.push_back(cells[i * columns + j]);
  }
  return make(Kind::matrix, std::move(result), std::to_string(rows));
}

NodeId Descent::scaled(NodeId matrix, NodeId factor) {
  std::vector<NodeId> cells = node(matrix).children;
  for (NodeId& cell : cells) cell = make(Kind::multiply, {factor, cell});
  return make(Kind::matrix, std::move(cells), node(matrix).text);
}

NodeId Descent::matrix_sum(const std::vector<NodeId>& terms) {
  const std::size_t size = node(terms[0]).children.size();
  for (const NodeId term : terms) {
    const bool fits = kind_of(term) == Kind::matrix && node(term).children.size() == size &&
                      node(term).text == node(terms[0]).text;
    if (!fits) throw NotAnExpression{};
  }
  std::vector<NodeId> cells;
  for (std::size_t i = 0; i < size; ++i) {
    std::vector<NodeId> in_cell;
    for (const NodeId term : terms) in_cell.push_back(node(term).children[i]);
    cells.push_back(make(Kind::add, std::move(in_cell)));
  }
  return make(Kind::matrix, std::move(cells), node(terms[0]).text);
}

NodeId Descent::matrix_product(NodeId a, NodeId b) {
  const std::vector<NodeId> left = node(a).children, right = node(b).children;
  const std::size_t inner = columns_of(a), columns = columns_of(b);
  const std::size_t rows = left.size() / inner;
  if (right.size() != inner * columns) throw NotAnExpression{};
  std::vector<NodeId> cells;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      std::vector<NodeId> terms;
      for (std::size_t k = 0; k < inner; ++k) {
        terms.push_back(make(Kind::multiply, {left[i * inner + k], right[k * columns + j]}));
      }
      cells.push_back(terms.size() == 1 ? terms[0] : make(Kind::add, std::move(terms)));
    }
  }
  return make(Kind::matrix, std::move(cells), std::to_string(columns));
}

}  // namespace zeroth::math
