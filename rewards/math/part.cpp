#include "rewards/math/part.h"

namespace zeroth::math {

std::vector<Part> children(const Part& part) {
  std::vector<Part> result;
  for (std::size_t i = 0; i < part.size(); ++i) result.push_back(part.child(i));
  return result;
}

Part negated(const Part& part, Arena& arena) {
  if (part.kind() == Kind::negate) return part.child(0);
  Expression& made = arena.emplace_back(*part.expression);
  made.nodes.push_back(
      {.kind = Kind::negate, .depth = part.node().depth + 1, .children = {part.id}, .text = {}});
  return {&made, static_cast<NodeId>(made.nodes.size() - 1), part.sign};
}

bool is_scalar(Kind kind) {
  return kind <= Kind::degree;
}

int infinity(const Part& part) {
  const Node& node = part.node();
  if (node.kind == Kind::constant && node.text == "infinity") return 1;
  if (node.kind == Kind::negate) return -infinity(part.child(0));
  return 0;
}

bool is_name(const Part& part) {
  const Node& node = part.node();
  switch (node.kind) {
    case Kind::symbol:
    case Kind::words:
      return true;
    case Kind::function:
    case Kind::multiply:
    case Kind::divide:
    case Kind::ratio:
    case Kind::unit:
    case Kind::bracket:
      for (std::size_t i = 0; i < part.size(); ++i) {
        if (!is_name(part.child(i))) return false;
      }
      return true;
    default:
      return false;
  }
}

}  // namespace zeroth::math
