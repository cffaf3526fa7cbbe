// The value of a scalar expression: exactly where it is rational, else as a ball that surely holds
// it.
//
// Goal: bounded. Work is counted in Budget before it is done; what would cost more, or give numbers
// of more than kMaxBits bits, is not computed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "rewards/math/ball.h"
#include "rewards/math/expression.h"

namespace zeroth::math {

inline constexpr std::int64_t kMaxBits = 1 << 16;  // of a numerator or denominator

/// What one comparison may cost, in operations on 64-bit words; about a nanosecond each.
struct Budget {
  std::int64_t left = 3'000'000;
  std::int64_t refused = 0;  // how often more was asked for

  /// False, and the budget spent, where there is not as much.
  bool spend(std::int64_t cost) {
    if (cost < left) {
      left -= cost;
      return true;
    }
    left = 0;
    ++refused;
    return false;
  }
  bool is_spent() const { return left == 0; }
};

/// A symbol that stands for a number, such as the index of a sum; the innermost first.
struct Binding {
  std::string_view name;
  const Ball* value = nullptr;
  const Rational* exact = nullptr;  // where it is known
  const Binding* outer = nullptr;
};

/// Where an expression with symbols is evaluated.
struct Point {
  int number = 0;  // every symbol has a value of its own at each; point 0 has positive ones only
  int sign = 1;    // of what stands after ±
  const Binding* bound = nullptr;  // symbols that have another value
};

/// The innermost of that name, or null.
const Binding* find_binding(const Binding* innermost, std::string_view name);

/// Of digits with at most one point.
std::optional<Rational> literal_value(std::string_view text);

/// The rational number that `id` is; nothing where it has symbols that are not bound, is
/// irrational, is not defined (a division by zero) or is too large.
std::optional<Rational> exact_value(const Expression& expression, NodeId id, Budget& budget,
                                    const Binding* bound = nullptr);

/// A ball around the value at `point`, of about `bits` bits where the arithmetic keeps them.
/// Nothing where it is not defined, not finite, no scalar, or too costly.
///
/// Powers and logarithms take their principal values, but a root of odd index and a power with an
/// exponent of odd denominator are real where the base is: \sqrt[3]{-8} = (-8)^{1/3} = -2.
std::optional<Ball> ball_value(const Expression& expression, NodeId id, const Point& point,
                               std::int64_t bits, Budget& budget);

/// Whether a symbol below `id` has a value that is not known to be whole, as the index of a sum is.
bool has_broken_symbol(const Expression& expression, NodeId id, const Binding* bound);

/// The first symbol below `id` that is not bound, there or by `bound`; or null.
const Node* free_symbol(const Expression& expression, NodeId id, const Binding* bound = nullptr);

/// Whether a symbol that is not bound, or a ±, stands anywhere below `id`.
bool has_symbol(const Expression& expression, NodeId id);
bool has_plus_minus(const Expression& expression, NodeId id);

}  // namespace zeroth::math
