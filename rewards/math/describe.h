// How an answer was read, as text for people: "add(power(x, 2), negate(1))".
#pragma once

#include <string>

#include "rewards/math/expression.h"

namespace zeroth::math {

/// The tree below `id`, cut after about `max_bytes`.
std::string describe(const Expression& expression, NodeId id, std::size_t max_bytes = 400);

}  // namespace zeroth::math
