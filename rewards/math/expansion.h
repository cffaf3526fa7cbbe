// The power series of an expression in one of its symbols: derivatives and limits come from it.
#pragma once

#include <string>

#include "rewards/math/balls.h"
#include "rewards/math/series.h"

namespace zeroth::math {

/// Expands an expression where `name` is `variable`, a series in t.
class Expansion {
 public:
  /// One-sided: t is positive, so that roots and absolute values may begin with a power of it.
  Expansion(Balls& balls, const std::string& name, const Series& variable, bool one_sided)
      : balls_(balls),
        expression_(balls.expression()),
        bits_(balls.bits()),
        name_(name),
        variable_(variable),
        one_sided_(one_sided) {}

  /// False where there is no such series, or where finding it costs too much.
  bool of(Series& out, NodeId id);

 private:
  bool added(Series& out, const Node& node);
  bool multiplied(Series& out, const Node& node);
  bool power(Series& out, const Node& node);
  bool root(Series& out, const Node& node);
  bool raised(Series& out, const Series& base, const Rational& exponent);
  bool to_series(Series& out, const Series& base, NodeId exponent);
  bool logarithm(Series& out, const Series& x);
  bool exponential(Series& out, const Series& x);
  bool function(Series& out, const Node& node);
  bool quotient(Series& out, const Series& x, PolySeries above, PolySeries below);
  bool inverse(Series& out, const Series& x, const std::string& name);
  bool arctan_at_pole(Series& out, const Series& x);
  bool absolute(Series& out, const Series& x);
  bool derivative(Series& out, const Node& node);

  bool is_real(const Series& x) const;
  bool may_take_logarithm(const Series& x) const;

  Balls& balls_;
  const Expression& expression_;
  const slong bits_;
  const std::string& name_;
  const Series& variable_;
  const bool one_sided_;
};

}  // namespace zeroth::math
