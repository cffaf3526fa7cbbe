#include "rewards/math/equality.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/describe.h"
#include "rewards/math/evaluation.h"
#include "rewards/math/interval.h"
#include "rewards/math/part.h"
#include "rewards/math/readings.h"
#include "rewards/math/values.h"

namespace zeroth::math {
namespace {

constexpr std::size_t kMaxBytes = 16384;  // of an answer that is read, not only compared as bytes
constexpr std::size_t kMaxItems = 128;    // of a list, which is compared item by item

class Comparer {
 public:
  Comparer(Budget& budget, const EqualityPolicy& policy) : budget_(budget), policy_(policy) {}

  bool equal(Part a, Part b) {
    if (!budget_.spend(200)) return no(Reason::budget);
    a = set_of_membership(a);
    b = set_of_membership(b);
    const std::optional<Part> named_a = value_of_equation(a);
    const std::optional<Part> named_b = value_of_equation(b);
    if (is_relation(a) && is_relation(b)) {
      if (named_a && named_b && equal(*named_a, *named_b)) return true;
      return relations_equal(a, b);
    }
    if (named_a) return equal(*named_a, b);
    if (named_b) return equal(a, *named_b);
    if (is_relation(a) || is_relation(b)) return regions_equal(a, b);
    if (is_inequalities(a) != is_inequalities(b)) return regions_equal(a, b);

    if (is_set(a) || is_set(b)) {
      const auto x = region_of(a, arena_, budget_);
      if (const auto y = x ? region_of(b, arena_, budget_) : std::nullopt)
        return same_region(*x, *y);
    }

    const std::vector<Part> items_a = items(a);
    const std::vector<Part> items_b = items(b);
    if (items_a.size() != 1 || items_b.size() != 1) return lists_equal(a, items_a, b, items_b);
    return single_equal(items_a[0], items_b[0]);
  }

  Reason reason() const { return reason_; }

 private:
  bool yes(Reason reason) {
    // The weakest of all reasons that were needed.
    if (reason_ == Reason::different || reason == Reason::rounded ||
        reason == Reason::unit_left_out || reason == Reason::percent_as_number) {
      reason_ = reason;
    }
    return true;
  }
  bool no(Reason reason) {
    reason_ = budget_.is_spent() ? Reason::budget : reason;
    return false;
  }

  static bool is_relation(const Part& part) { return part.kind() == Kind::relation; }

  // S of "x \in S".
  static Part set_of_membership(const Part& part) {
    const bool is_membership =
        is_relation(part) && part.node().text == "in" && is_name(part.child(0));
    return is_membership ? part.child(1) : part;
  }

  // 5 of "x = 5" and "5 = x".
  std::optional<Part> value_of_equation(const Part& part) const {
    if (!is_relation(part)) return std::nullopt;
    if (part.node().text != "=") return std::nullopt;
    if (is_name(part.child(0))) return part.child(1);
    if (is_name(part.child(1))) return part.child(0);
    // "3 * 4 = 12": the work shown, and what comes out.
    const bool has_names = has_symbol(*part.expression, part.id);
    if (!has_names && is_scalar(part.child(0).kind()) && is_scalar(part.child(1).kind())) {
      return part.child(1);
    }
    return std::nullopt;
  }

  // "x < 1, x > 3".
  static bool is_inequalities(const Part& part) {
    if (part.kind() != Kind::list) return false;
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (!is_inequality(part.child(i))) return false;
    }
    return true;
  }

  // What may be intervals though it is no bracket.
  static bool is_set(const Part& part) {
    return part.kind() == Kind::set_union || part.kind() == Kind::set_difference ||
           is_real_line(part);
  }
  static bool is_set_operation(const Part& part) {
    return part.kind() == Kind::set_union || part.kind() == Kind::set_intersection ||
           part.kind() == Kind::set_difference;
  }

  bool is_member(const Part& part, const std::vector<Part>& set) {
    return std::any_of(set.begin(), set.end(),
                       [&](const Part& other) { return equal(part, other); });
  }

  // What a union, an intersection or a difference of finite sets holds; nothing of intervals, and
  // of sets that are too large.
  std::optional<std::vector<Part>> members(const Part& part) {
    if (part.kind() == Kind::list) return items(part);
    if (!is_set_operation(part)) {  // A and \mathbb{R} are no members
      const bool is_number = is_scalar(part.kind()) && !has_symbol(*part.expression, part.id);
      return is_number ? std::optional(both_signs(part)) : std::nullopt;
    }
    std::optional<std::vector<Part>> result;
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto operand = members(part.child(i));
      if (!operand || operand->size() > kMaxItems) return std::nullopt;
      if (!result) {
        result = operand;
      } else if (part.kind() == Kind::set_union) {
        result->insert(result->end(), operand->begin(), operand->end());
        if (result->size() > kMaxItems) return std::nullopt;
      } else {
        const bool keeps_common = part.kind() == Kind::set_intersection;
        std::erase_if(*result,
                      [&](const Part& item) { return is_member(item, *operand) != keeps_common; });
      }
    }
    if (result) result = without_repeats(*result);
    return result;
  }

  // What a list or a finite set holds; both values of a scalar with ±; else the part itself.
  std::vector<Part> items(const Part& part) {
    if (is_set_operation(part)) {
      if (auto known = members(part)) return *known;
    }
    if (part.kind() != Kind::list) return both_signs(part);
    std::vector<Part> result;
    for (std::size_t i = 0; i < part.size(); ++i) {
      for (const Part& item : both_signs(part.child(i))) result.push_back(item);
    }
    return result;
  }
  std::vector<Part> both_signs(Part part) const {
    if (part.sign != 0 || !has_plus_minus(*part.expression, part.id)) return {part};
    Part above = part, below = part;
    above.sign = 1;
    below.sign = -1;
    return {above, below};
  }

  bool lists_equal(const Part& a, const std::vector<Part>& items_a, const Part& b,
                   const std::vector<Part>& items_b) {
    // "1, 3" may stand for the point (1, 3), in its order.
    if (a.kind() == Kind::bracket && items_a.size() == 1) return in_order(children(a), items_b);
    if (b.kind() == Kind::bracket && items_b.size() == 1) return in_order(items_a, children(b));
    return in_any_order(items_a, items_b);
  }

  bool in_order(const std::vector<Part>& a, const std::vector<Part>& b) {
    if (a.size() != b.size()) return no(Reason::different);
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!equal(a[i], b[i])) return false;
    }
    return true;
  }

  bool in_any_order(const std::vector<Part>& a, const std::vector<Part>& b) {
    if (a.size() > kMaxItems || b.size() > kMaxItems) return no(Reason::different);
    if (policy_.ordered_lists) return in_order(a, b);
    const Named named = by_name(a);
    if (!named.empty()) {
      const Named other = by_name(b);
      if (same_names(named, other)) return same_named_items(named, other);
    }
    if (a.size() == b.size()) return same_items(a, b);
    // A set says no more for an item said twice, but what both sides say twice counts.
    const std::vector<Part>& longer = a.size() > b.size() ? a : b;
    const std::vector<Part> once = without_repeats(longer);
    const std::vector<Part>& shorter = a.size() > b.size() ? b : a;
    if (once.size() != shorter.size()) return no(Reason::different);
    return same_items(once, shorter);
  }

  bool same_items(const std::vector<Part>& a, std::vector<Part> b) {
    for (const Part& item : a) {
      const auto found =
          std::find_if(b.begin(), b.end(), [&](const Part& other) { return equal(item, other); });
      if (found == b.end()) return no(Reason::different);
      b.erase(found);
    }
    return yes(Reason::same_value);
  }

  // Items that name a value, in the order of their names.
  using Named = std::vector<std::pair<std::string, Part>>;

  // For each name, its values on both sides. The names are the same.
  bool same_named_items(const Named& a, const Named& b) {
    for (std::size_t begin = 0, end = 0; begin < a.size(); begin = end) {
      std::vector<Part> values_a, values_b;
      for (; end < a.size() && a[end].first == a[begin].first; ++end) {
        values_a.push_back(a[end].second);
        values_b.push_back(b[end].second);
      }
      if (!same_items(values_a, values_b)) return false;
    }
    return yes(Reason::same_value);
  }

  std::vector<Part> without_repeats(const std::vector<Part>& items) {
    std::vector<Part> result;
    for (const Part& item : items) {
      const bool known = std::any_of(result.begin(), result.end(),
                                     [&](const Part& other) { return equal(item, other); });
      if (!known) result.push_back(item);
    }
    return result;
  }

  // x of "x = 5" and "5 = x", written out; empty for what names nothing.
  static std::string name_of(const Part& part) {
    if (!is_relation(part) || part.node().text != "=") return "";
    for (std::size_t i = 0; i < 2; ++i) {
      if (is_name(part.child(i))) return describe(*part.expression, part.child(i).id);
    }
    return "";
  }

  // Where every item names a value and there are several names; else none. "x = 1, y = 2" is not
  // "x = 2, y = 1".
  static Named by_name(const std::vector<Part>& items) {
    Named named;
    for (const Part& item : items) {
      named.emplace_back(name_of(item), item);
      if (named.back().first.empty()) return {};
    }
    std::stable_sort(named.begin(), named.end(),
                     [](const auto& x, const auto& y) { return x.first < y.first; });
    return !named.empty() && named.front().first != named.back().first ? named : Named{};
  }
  static bool same_names(const Named& a, const Named& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return x.first == y.first; });
  }

  bool single_equal(const Part& a, const Part& b) {
    if (a.kind() == Kind::unit || b.kind() == Kind::unit) return with_units(a, b);
    if (a.kind() == Kind::degree || b.kind() == Kind::degree) return with_degrees(a, b);
    if (is_scalar(a.kind()) && is_scalar(b.kind())) return scalars_equal(a, b);
    if (a.kind() != b.kind()) return no(Reason::different_kind);
    switch (a.kind()) {
      case Kind::ratio:
        return in_order(children(a), children(b));
      case Kind::bracket:
        return brackets_equal(a, b);
      case Kind::set_union:
        return in_any_order(children(a), children(b));
      case Kind::matrix:
        if (a.node().text != b.node().text) return no(Reason::different);
        return in_order(children(a), children(b));
      case Kind::words:
        return a.node().text == b.node().text ? yes(Reason::same_text) : no(Reason::different);
      default:
        return no(Reason::different_kind);
    }
  }

  // [0, 1) is not (0, 1]; of three and more, brackets say nothing.
  bool brackets_equal(const Part& a, const Part& b) {
    if (a.size() == 2 && a.node().text != b.node().text) return no(Reason::different);
    return in_order(children(a), children(b));
  }

  bool with_units(const Part& a, const Part& b) {
    const bool unit_a = a.kind() == Kind::unit;
    const bool unit_b = b.kind() == Kind::unit;
    if (unit_a && unit_b && !same_unit(a.node().text, b.node().text)) {
      return no(Reason::different_unit);
    }
    if (!equal(unit_a ? a.child(0) : a, unit_b ? b.child(0) : b)) return false;
    return unit_a != unit_b ? yes(Reason::unit_left_out) : true;
  }

  // Singular and plural are one.
  static bool same_unit(std::string_view a, std::string_view b) {
    const auto singular = [](std::string_view unit) {
      return unit.size() > 2 && unit.ends_with('s') ? unit.substr(0, unit.size() - 1) : unit;
    };
    return singular(a) == singular(b);
  }

  // 90° may be written as 90, and equals \pi/2.
  bool with_degrees(const Part& a, const Part& b) {
    const bool degrees_a = a.kind() == Kind::degree;
    const bool degrees_b = b.kind() == Kind::degree;
    if (degrees_a && degrees_b) return equal(a.child(0), b.child(0));
    if (equal(degrees_a ? a.child(0) : a, degrees_b ? b.child(0) : b)) {
      return yes(Reason::unit_left_out);
    }
    return is_scalar(a.kind()) && is_scalar(b.kind()) && scalars_equal(a, b);
  }

  bool scalars_equal(const Part& a, const Part& b) {
    if (infinity(a) != 0 || infinity(b) != 0) {
      return infinity(a) == infinity(b) ? yes(Reason::same_value) : no(Reason::different);
    }
    switch (compare_values(a, b, budget_)) {
      case Verdict::same:
        return yes(Reason::same_value);
      case Verdict::rounded:
        return yes(Reason::rounded);
      case Verdict::different:
        if (policy_.decimals > 0 && equal_at_decimals(a, b)) return yes(Reason::rounded);
        return no(Reason::different);
      case Verdict::undecided:
        return no(Reason::budget);
    }
    std::abort();
  }

  // Numbers of which one is a decimal, rounded to as many decimals as the policy says.
  bool equal_at_decimals(const Part& a, const Part& b) {
    return rounds_alike(a, b, policy_.decimals, budget_);
  }

  bool relations_equal(const Part& a, const Part& b) {
    const auto x = region_of(a, arena_, budget_);
    if (const auto y = x ? region_of(b, arena_, budget_) : std::nullopt) return same_region(*x, *y);
    const bool chain_a = a.node().text == "chain", chain_b = b.node().text == "chain";
    if (!chain_a && !chain_b) return links_equal(a, b);
    if (chain_a != chain_b || a.size() != b.size()) return no(Reason::different_kind);
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!links_equal(a.child(i), b.child(i))) return false;
    }
    return true;
  }

  // One difference of sides is a multiple of the other: a negative one where the direction turns.
  bool links_equal(const Part& a, const Part& b) {
    const bool same = a.node().text == b.node().text;
    const bool turned = a.node().text == reversed(b.node().text);
    const Multiple multiple = same || turned ? multiple_of(a, b, budget_) : Multiple::none;
    const bool equal =
        (same && multiple == Multiple::positive) || (turned && multiple == Multiple::negative);
    return equal ? yes(Reason::same_value) : no(Reason::different);
  }

  bool regions_equal(const Part& a, const Part& b) {
    if (!policy_.relation_for_set && !is_relation(b) && is_inequality(a)) {
      return no(Reason::different_kind);
    }
    const auto x = region_of(a, arena_, budget_);
    const auto y = x ? region_of(b, arena_, budget_) : std::nullopt;
    if (!y) return no(Reason::different_kind);
    return same_region(*x, *y);
  }

  // Pieces in any order.
  bool same_region(std::vector<Interval> x, std::vector<Interval> y) {
    x = merged(std::move(x), budget_);
    y = merged(std::move(y), budget_);
    if (x.size() != y.size()) return no(Reason::different);
    for (const Interval& piece : x) {
      const auto found = std::find_if(
          y.begin(), y.end(), [&](const Interval& other) { return same_interval(piece, other); });
      if (found == y.end()) return no(Reason::different);
      y.erase(found);
    }
    return yes(Reason::same_value);
  }

  bool same_interval(const Interval& x, const Interval& y) {
    const auto same_end = [this](const std::optional<Part>& p, bool closed_p,
                                 const std::optional<Part>& q, bool closed_q) {
      if (!p || !q) return !p && !q;
      return closed_p == closed_q && equal(*p, *q);
    };
    const bool same = same_end(x.low, x.low_closed, y.low, y.low_closed) &&
                      same_end(x.high, x.high_closed, y.high, y.high_closed);
    return same ? yes(Reason::same_value) : no(Reason::different);
  }

  Budget& budget_;
  const EqualityPolicy& policy_;
  Arena arena_;
  Reason reason_ = Reason::different;
};

bool is_percentage(const Expression& expression) {
  return expression.at(expression.root).kind == Kind::percent;
}

// The same with every symbol named by when it first occurs: f(x) as f(y).
Expression without_names(Expression expression) {
  std::map<std::string, std::string> names;
  for (Node& node : expression.nodes) {
    if (node.kind != Kind::symbol) continue;
    const auto name = names.emplace(node.text, "v" + std::to_string(names.size())).first;
    node.text = name->second;
  }
  return expression;
}

Comparison compare_expressions(const Expression& a, const Expression& b,
                               const EqualityPolicy& policy, Budget& budget) {
  Comparer comparer(budget, policy);
  const bool equal =
      comparer.equal({.expression = &a, .id = a.root}, {.expression = &b, .id = b.root});
  if (equal) return {.equal = true, .reason = comparer.reason()};
  if (is_percentage(b) && !is_percentage(a)) {
    Comparer as_number(budget, policy);
    if (as_number.equal({.expression = &a, .id = a.root},
                        {.expression = &b, .id = b.at(b.root).children[0]})) {
      return {.equal = true, .reason = Reason::percent_as_number};
    }
  }
  if (policy.any_names) {
    EqualityPolicy named = policy;
    named.any_names = false;
    return compare_expressions(without_names(a), without_names(b), named, budget);
  }
  return {.equal = false, .reason = comparer.reason()};
}

}  // namespace

Comparison compare_answers(std::string_view answer, std::string_view reference,
                           const EqualityPolicy& policy) {
  if (answer.size() > kMaxBytes || reference.size() > kMaxBytes) {
    return {.equal = answer == reference,
            .reason = answer == reference ? Reason::same_text : Reason::budget};
  }
  const Readings a = read_answer(answer, policy.decimal_comma);
  const Readings b = read_answer(reference, policy.decimal_comma);
  const bool same_words = (a.has_words || b.has_words) && !a.words.empty() && a.words == b.words;
  if (same_words || (!a.letters.empty() && a.letters == b.letters)) {
    return {.equal = true, .reason = Reason::same_text};
  }
  Budget budget;
  Comparison first;  // of the usual readings, which is what to say where none are equal
  for (const Expression& x : a.expressions) {
    for (const Expression& y : b.expressions) {
      const Comparison result = compare_expressions(x, y, policy, budget);
      if (result.equal) return result;
      if (first.reason == Reason::not_parsed) first = result;
    }
  }
  return first;
}

std::string_view reason_name(Reason reason) {
  switch (reason) {
    case Reason::same_text:
      return "same text";
    case Reason::same_value:
      return "same value";
    case Reason::rounded:
      return "rounded";
    case Reason::unit_left_out:
      return "unit left out";
    case Reason::percent_as_number:
      return "percent as a number";
    case Reason::different:
      return "different";
    case Reason::different_kind:
      return "different kind";
    case Reason::different_unit:
      return "different unit";
    case Reason::not_parsed:
      return "not parsed";
    case Reason::budget:
      return "budget";
  }
  std::abort();
}

}  // namespace zeroth::math
