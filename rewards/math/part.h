// A part of an answer, and what can be said of it by looking.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "rewards/math/expression.h"

namespace zeroth::math {

/// Looks at an expression, which outlives it.
struct Part {
  const Expression* expression = nullptr;
  NodeId id = 0;
  int sign = 0;  // of what stands after ±; 0 is both

  const Node& node() const { return expression->at(id); }
  Kind kind() const { return node().kind; }
  std::size_t size() const { return node().children.size(); }
  Part child(std::size_t i) const { return {expression, node().children[i], sign}; }
};

/// Holds expressions that a comparison makes.
using Arena = std::deque<Expression>;

/// -part.
Part negated(const Part& part, Arena& arena);

/// In their order.
std::vector<Part> children(const Part& part);

bool is_scalar(Kind kind);

/// -1 or 1 times infinity; 0 is everything else.
int infinity(const Part& part);

/// Whether a side of an equation only names the value on the other: x, f(x), |AB|, A:B, (p, q).
bool is_name(const Part& part);

}  // namespace zeroth::math
