#include "rewards/math/interval.h"

#include <utility>

#include "rewards/math/evaluation.h"

namespace zeroth::math {
namespace {

void set_low(Interval& interval, const Part& end, bool closed) {
  if (infinity(end) < 0) return;
  interval.low = end;
  interval.low_closed = closed;
}
void set_high(Interval& interval, const Part& end, bool closed) {
  if (infinity(end) > 0) return;
  interval.high = end;
  interval.high_closed = closed;
}

bool add_bound(Interval& result, const Part& relation) {
  std::string_view operation = relation.node().text;
  if (operation != "<" && operation != ">" && operation != "<=" && operation != ">=") {
    return false;
  }
  Part name = relation.child(0), bound = relation.child(1);
  if (!is_name(name)) {
    std::swap(name, bound);
    operation = reversed(operation);
  }
  if (!is_name(name) || has_symbol(*bound.expression, bound.id)) return false;
  const bool closed = operation.size() == 2;
  if (operation[0] == '<') {
    set_high(result, bound, closed);
  } else {
    set_low(result, bound, closed);
  }
  return true;
}

}  // namespace

std::optional<Interval> interval_of(const Part& part) {
  Interval result;
  if (part.kind() == Kind::bracket && part.size() == 2) {
    set_low(result, part.child(0), part.node().text[0] == '[');
    set_high(result, part.child(1), part.node().text[1] == ']');
    return result;
  }
  if (part.kind() != Kind::relation) return std::nullopt;
  if (part.node().text != "chain") {
    if (!add_bound(result, part)) return std::nullopt;
    return result;
  }
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part.size() != 2 || !add_bound(result, part.child(i))) return std::nullopt;
  }
  if (!result.low || !result.high) return std::nullopt;
  return result;
}

std::string_view reversed(std::string_view relation) {
  if (relation == "<") return ">";
  if (relation == ">") return "<";
  if (relation == "<=") return ">=";
  if (relation == ">=") return "<=";
  return relation;
}

}  // namespace zeroth::math
