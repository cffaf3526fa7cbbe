// Integrals that a table gives: of sums of powers of the variable, of functions of ax + b, and of
// sums and constant multiples of these.
#pragma once

#include <string>

#include "rewards/math/balls.h"

namespace zeroth::math {

class Antiderivative {
 public:
  /// With `entire_only`, of what has no singularity anywhere: then the difference of two values is
  /// a definite integral.
  Antiderivative(Balls& balls, const std::string& name, bool entire_only)
      : balls_(balls),
        expression_(balls.expression()),
        bits_(balls.bits()),
        name_(name),
        entire_only_(entire_only) {}

  /// Of `integrand`, at x; without a constant. False where the table has none.
  bool at(Ball& out, NodeId integrand, const Ball& x);

 private:
  // sum of coefficients times x^lowest, x^(lowest + 1), …
  struct Powers;

  bool powers_of(Powers& out, NodeId id);
  bool integrated(Ball& out, const Powers& integrand, const Ball& x);
  bool factors(Ball& out, const Node& product, const Ball& x);
  bool of_linear(Ball& out, const Node& node, const Ball& x);
  bool linear(NodeId id, const Ball& x, Ball& slope, Ball& value);

  Balls& balls_;
  const Expression& expression_;
  const slong bits_;
  const std::string& name_;
  const bool entire_only_;
};

}  // namespace zeroth::math
