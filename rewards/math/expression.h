// A mathematical answer as a tree: what parse_expression makes of a text, and what is compared.
//
// Goal: small and bounded. Nodes stand in one array, children before their parents; neither their
// number nor the depth of the tree passes ExpressionLimits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace zeroth::math {

struct ExpressionLimits {
  std::size_t max_nodes = 4096;
  std::uint32_t max_depth = 100;  // of the tree, and of the parser's recursion
};

enum class Kind : std::uint8_t {
  // scalars
  number,    // text: digits with at most one point, e.g. "3.50"
  symbol,    // text: "x", "x_1", "\alpha"; based numerals too: "52_8"
  constant,  // text: "pi", "e", "i" or "infinity"
  add,       // of any number of children; text "mixed": 3\frac12
  negate,
  plus_minus,  // ± child; text "-": ∓
  multiply,    // of any number of children
  divide,
  power,
  root,      // index, radicand
  function,  // text: its name; one child, or more: gcd, lcm, max, min
  log,       // base, argument
  binomial,
  factorial,
  modulo,        // what is left of the first after division by the second, with the second's sign
  sum_over,      // text: the index; its first and last value, the term
  product_over,  // the same
  limit,         // text: the variable; where it goes, from + or - as words where it says, the
                 // expression
  derivative,    // text: the variable; the expression. Repeated where it is a second one
  integral,      // text: the variable; both ends or none, the integrand
  piecewise,     // value, condition, value, condition, …; the last may stand alone
  percent,       // child / 100
  degree,        // child * pi / 180
  // answers made of scalars
  unit,              // text: the unit; the value
  ratio,             // a : b : …
  list,              // a, b, …: in any order, as a set is
  bracket,           // text: the two brackets, e.g. "[)": an interval, a point, a tuple
  matrix,            // text: the number of columns; row by row
  set_union,         // of intervals or sets
  set_intersection,  // of two
  set_difference,    // of two
  relation,  // text: = < > <= >= != in notin or subset; two children. Or "chain": of relations
  words,     // text: letters in lower case, without white space
};

using NodeId = std::uint32_t;

struct Node {
  Kind kind = Kind::number;
  std::uint32_t depth = 1;  // of the tree below, itself included
  std::vector<NodeId> children;
  std::string text;
};

struct Expression {
  std::vector<Node> nodes;
  NodeId root = 0;

  const Node& at(NodeId id) const { return nodes[id]; }
};

/// Whether the node's text names a variable that stands for no value outside of its body; an
/// integral's only where it has ends.
inline bool binds_its_variable(const Node& node) {
  return node.kind == Kind::sum_over || node.kind == Kind::product_over ||
         node.kind == Kind::limit || (node.kind == Kind::integral && node.children.size() == 3);
}

/// Where the variable of such a node stands.
inline NodeId body_of(const Node& node) {
  return node.children.back();
}

/// Whether `test` holds of the node or of any that stands below it.
template <typename Test>
bool any_below(const Expression& expression, NodeId id, const Test& test) {
  const Node& node = expression.at(id);
  if (test(node)) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [&](NodeId child) { return any_below(expression, child, test); });
}

}  // namespace zeroth::math
