#include <algorithm>

#include "rewards/math/equality.h"
#include "rewards/math/parser.h"

namespace zeroth::math {
namespace {

constexpr std::size_t kMaxBytes = 16384;  // of an answer that is read

// Whether sums or products of numbers are left to do.
bool is_unevaluated(const Expression& expression, NodeId id) {
  const auto is_scientific = [&](const Node& node) {  // 2\cdot10^3
    if (node.children.size() != 2) return false;
    const Node& second = expression.at(node.children[1]);
    return second.kind == Kind::power && expression.at(second.children[0]).text == "10";
  };
  const auto is_operation = [&](const Node& node) {
    return (node.kind == Kind::multiply && !is_scientific(node)) ||
           (node.kind == Kind::add && node.text != "mixed");
  };
  const auto is_named = [](const Node& node) {
    return node.kind == Kind::symbol || node.kind == Kind::constant;
  };
  return any_below(expression, id, is_operation) && !any_below(expression, id, is_named);
}

}  // namespace

bool is_unevaluated(std::string_view answer) {
  if (answer.size() > kMaxBytes) return false;
  const std::optional<Expression> expression = parse_expression(answer);
  if (!expression) return false;
  const Node& whole = expression->at(expression->root);
  if (whole.kind != Kind::relation) return is_unevaluated(*expression, expression->root);
  return std::any_of(whole.children.begin(), whole.children.end(),
                     [&](NodeId side) { return is_unevaluated(*expression, side); });
}

}  // namespace zeroth::math
