// An answer: read, and its number computed. Whatever the bytes, both end, within their limits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "rewards/math/parser.h"
#include "rewards/math/value_at.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zeroth::math;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ExpressionLimits limits;
  if (const std::optional<Expression> expression = parse_expression(text, limits)) {
    if (expression->nodes.size() > limits.max_nodes || expression->root >= expression->nodes.size())
      std::abort();
    for (std::size_t id = 0; id < expression->nodes.size(); ++id) {
      const Node& node = expression->nodes[id];
      if (node.depth > limits.max_depth) std::abort();
      for (const NodeId child : node.children) {
        if (child >= id) std::abort();
      }
    }
  }
  static constexpr SymbolValue kValues[] = {{"x", "37/29"}, {"n", "5"}, {"\\theta", "-2/7"}};
  static_cast<void>(compare_value(text, kValues, "1"));
  return 0;
}
