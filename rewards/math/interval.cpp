#include "rewards/math/interval.h"

#include <utility>

#include "rewards/math/evaluation.h"
#include "rewards/math/values.h"

namespace zeroth::math {
namespace {

constexpr std::size_t kMaxPieces = 32;
constexpr std::int64_t kCopyCost = 100;  // of a node
constexpr std::int64_t kOrderBits = 64;  // enough to say which of two ends comes first

using Region = std::vector<Interval>;

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

Interval interval_of_bracket(const Part& part) {
  Interval result;
  set_low(result, part.child(0), part.node().text[0] == '[');
  set_high(result, part.child(1), part.node().text[1] == ']');
  return result;
}

bool is_absolute(const Part& part) {
  return part.kind() == Kind::function && part.node().text == "abs" && is_name(part.child(0));
}

// The bounds that inequalities put on one name, or on its absolute value.
struct Bounds {
  Interval interval;
  bool absolute = false;
  bool known = false;
};

bool is_order(std::string_view operation) {
  return operation == "<" || operation == ">" || operation == "<=" || operation == ">=";
}

bool add_bound(Bounds& result, const Part& relation) {
  std::string_view operation = relation.node().text;
  if (!is_order(operation)) return false;
  Part name = relation.child(0), bound = relation.child(1);
  if (!is_name(name)) {
    std::swap(name, bound);
    operation = reversed(operation);
  }
  if (!is_name(name) || has_symbol(*bound.expression, bound.id)) return false;
  if (result.known && result.absolute != is_absolute(name)) return false;
  result.absolute = is_absolute(name);
  result.known = true;
  const bool closed = operation.size() == 2;
  if (operation[0] == '<') {
    set_high(result.interval, bound, closed);
  } else {
    set_low(result.interval, bound, closed);
  }
  return true;
}

// Nothing where the budget does not allow the copies that negated ends take.
std::optional<Region> unfolded(const Bounds& bounds, Arena& arena, Budget& budget) {
  if (!bounds.absolute) return Region{bounds.interval};
  for (const std::optional<Part>& end : {bounds.interval.low, bounds.interval.high}) {
    const auto nodes = end ? static_cast<std::int64_t>(end->expression->nodes.size()) : 0;
    if (!budget.spend(kCopyCost * nodes)) return std::nullopt;
  }
  const Interval& distance = bounds.interval;
  Interval right = distance, left;
  if (distance.high) {
    left.low = negated(*distance.high, arena);
    left.low_closed = distance.high_closed;
  }
  if (!distance.low) {  // |x| < b is one piece
    left.high = distance.high;
    left.high_closed = distance.high_closed;
    return Region{left};
  }
  left.high = negated(*distance.low, arena);
  left.high_closed = distance.low_closed;
  return Region{left, right};
}

// x != a.
std::optional<Region> without_point(const Part& part) {
  Part name = part.child(0), point = part.child(1);
  if (!is_name(name)) std::swap(name, point);
  if (!is_name(name) || has_symbol(*point.expression, point.id)) return std::nullopt;
  Interval below, above;
  below.high = point;
  above.low = point;
  return Region{below, above};
}

std::optional<Region> of_relation(const Part& part, Arena& arena, Budget& budget) {
  if (part.node().text == "!=") return without_point(part);
  if (part.node().text == "in") {
    if (!is_name(part.child(0))) return std::nullopt;
    return region_of(part.child(1), arena, budget);
  }
  Bounds bounds;
  if (part.node().text != "chain") {
    if (!add_bound(bounds, part)) return std::nullopt;
    return unfolded(bounds, arena, budget);
  }
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part.size() != 2 || !add_bound(bounds, part.child(i))) return std::nullopt;
  }
  if (!bounds.interval.low || !bounds.interval.high) return std::nullopt;
  return unfolded(bounds, arena, budget);
}

bool is_before(const Part& a, const Part& b, Budget& budget) {
  const std::optional<Ball> x = ball_value(*a.expression, a.id, {}, kOrderBits, budget);
  const std::optional<Ball> y = ball_value(*b.expression, b.id, {}, kOrderBits, budget);
  return x && y && arb_lt(acb_realref(x->get()), acb_realref(y->get()));
}

bool is_same(const Part& a, const Part& b, Budget& budget) {
  return compare_values(a, b, budget) == Verdict::same;
}

// Whether `high` piece goes on where `low` piece ends, or before.
bool touches(const Interval& low, const Interval& high, Budget& budget) {
  if (!low.high || !high.low || is_before(*high.low, *low.high, budget)) return true;
  return (low.high_closed || high.low_closed) && is_same(*low.high, *high.low, budget);
}

bool begins_before(const Interval& a, const Interval& b, Budget& budget) {
  return b.low && (!a.low || is_before(*a.low, *b.low, budget));
}

// "x < a or x > b": both rays, where the other reading, "and", would leave nothing.
std::optional<Region> of_list(const Part& part, Arena& arena, Budget& budget) {
  if (part.size() != 2) return std::nullopt;
  Region result;
  for (std::size_t i = 0; i < 2; ++i) {
    if (!is_inequality(part.child(i))) return std::nullopt;
    const std::optional<Region> piece = region_of(part.child(i), arena, budget);
    if (!piece || piece->size() != 1) return std::nullopt;
    result.push_back(piece->front());
  }
  if (result[0].low) std::swap(result[0], result[1]);
  const bool rays = !result[0].low && result[0].high && result[1].low && !result[1].high;
  if (!rays || !is_before(*result[0].high, *result[1].low, budget)) return std::nullopt;
  return result;
}

// An open piece on each side of a point in the middle of `piece`; else the piece, without an end
// that is the point.
Region split(Interval piece, const Part& point, Budget& budget) {
  if (piece.low && is_same(*piece.low, point, budget)) piece.low_closed = false;
  if (piece.high && is_same(*piece.high, point, budget)) piece.high_closed = false;
  const bool inside = (!piece.low || is_before(*piece.low, point, budget)) &&
                      (!piece.high || is_before(point, *piece.high, budget));
  if (!inside) return {piece};
  Interval below = piece, above = piece;
  below.high = point;
  below.high_closed = false;
  above.low = point;
  above.low_closed = false;
  return {below, above};
}

// "\\mathbb{R} \\setminus \\{1, 2\\}".
std::optional<Region> without_points(const Part& part, Arena& arena, Budget& budget) {
  std::optional<Region> result = region_of(part.child(0), arena, budget);
  if (!result || part.size() != 2) return std::nullopt;
  const Part removed = part.child(1);
  const std::vector<Part> points =
      removed.kind() == Kind::list ? children(removed) : std::vector<Part>{removed};
  for (const Part& point : points) {
    if (!is_scalar(point.kind()) || has_symbol(*point.expression, point.id)) return std::nullopt;
    Region pieces;
    for (const Interval& piece : *result) {
      for (const Interval& rest : split(piece, point, budget)) pieces.push_back(rest);
    }
    if (pieces.size() > kMaxPieces) return std::nullopt;
    result = std::move(pieces);
  }
  return result;
}

}  // namespace

bool is_real_line(const Part& part) {
  return part.kind() == Kind::symbol && part.node().text == "\\mathbb{R}";
}

std::optional<std::vector<Interval>> region_of(const Part& part, Arena& arena, Budget& budget) {
  switch (part.kind()) {
    case Kind::bracket:
      if (part.size() != 2 || part.node().text.size() != 2) return std::nullopt;
      return Region{interval_of_bracket(part)};
    case Kind::set_union: {
      if (part.size() > kMaxPieces) return std::nullopt;
      Region result;
      for (std::size_t i = 0; i < part.size(); ++i) {
        if (part.child(i).kind() != Kind::bracket || part.child(i).size() != 2) return std::nullopt;
        result.push_back(interval_of_bracket(part.child(i)));
      }
      return result;
    }
    case Kind::symbol:
      if (!is_real_line(part)) return std::nullopt;
      return Region{Interval{}};
    case Kind::set_difference:
      return without_points(part, arena, budget);
    case Kind::relation:
      return of_relation(part, arena, budget);
    case Kind::list:
      return of_list(part, arena, budget);
    default:
      return std::nullopt;
  }
}

std::vector<Interval> merged(std::vector<Interval> region, Budget& budget) {
  for (std::size_t i = 1; i < region.size();
       ++i) {  // few pieces, and no order where none is certain
    for (std::size_t j = i; j > 0 && begins_before(region[j], region[j - 1], budget); --j) {
      std::swap(region[j], region[j - 1]);
    }
  }
  std::vector<Interval> result;
  for (const Interval& piece : region) {
    if (result.empty() || !touches(result.back(), piece, budget)) {
      result.push_back(piece);
      continue;
    }
    Interval& last = result.back();
    const bool ends_later =
        last.high && (!piece.high || is_before(*last.high, *piece.high, budget));
    const bool closes =
        last.high && piece.high && piece.high_closed && is_same(*last.high, *piece.high, budget);
    if (ends_later) last.high = piece.high;
    if (ends_later) last.high_closed = piece.high_closed;
    if (closes) last.high_closed = true;
  }
  return result;
}

std::string_view reversed(std::string_view relation) {
  if (relation == "<") return ">";
  if (relation == ">") return "<";
  if (relation == "<=") return ">=";
  if (relation == ">=") return "<=";
  return relation;
}

bool is_inequality(const Part& part) {
  if (part.kind() != Kind::relation) return false;
  if (part.node().text != "chain") return is_order(part.node().text);
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (!is_order(part.child(i).node().text)) return false;
  }
  return true;
}

}  // namespace zeroth::math
