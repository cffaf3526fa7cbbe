#include "rewards/math/equality.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/math/evaluation.h"
#include "rewards/math/parser.h"
#include "rewards/math/tokens.h"

namespace zeroth::math {
namespace {

constexpr std::int64_t kQuickBits = 128;
constexpr std::int64_t kSureBits = 2048;   // of constants: agreement to some 600 digits is equality
constexpr std::int64_t kSymbolBits = 256;  // of expressions, at each of the points, to begin with
constexpr std::int64_t kMaxSymbolBits = 4096;
constexpr int kPoints = 3;
constexpr std::size_t kMaxBytes = 16384;  // of an answer that is read, not only compared as bytes
constexpr std::size_t kMaxItems = 128;    // of a list, which is compared item by item
constexpr std::size_t kMinSignificantDigits = 3;  // of a decimal that a value may round to

// A part of one of the two answers.
struct Part {
  const Expression* expression = nullptr;
  NodeId id = 0;
  int sign = 0;  // of what stands after ±; 0 is both

  const Node& node() const { return expression->at(id); }
  Kind kind() const { return node().kind; }
  std::size_t size() const { return node().children.size(); }
  Part child(std::size_t i) const { return {expression, node().children[i], sign}; }
};

// What an inequality or an interval describes. An end that is absent is infinite.
struct Interval {
  std::optional<Part> low, high;
  bool low_closed = false, high_closed = false;
};

bool is_scalar(Kind kind) {
  return kind <= Kind::degree;
}

// -1, 0 or 1 times infinity; 0 is anything finite.
int infinity(const Part& part) {
  const Node& node = part.node();
  if (node.kind == Kind::constant && node.text == "infinity") return 1;
  if (node.kind == Kind::negate) return -infinity(part.child(0));
  return 0;
}

// Whether a side of an equation only names the value on the other: x, f(x), |AB|, A:B, (p, q).
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

class Comparer {
 public:
  explicit Comparer(Budget& budget) : budget_(budget) {}

  bool equal(Part a, Part b) {
    if (!budget_.spend(100)) return no(Reason::budget);
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
    if (is_relation(a) || is_relation(b)) return intervals_equal(a, b);

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
    return std::nullopt;
  }

  // What a list holds; both values of a scalar with ±; else the part itself.
  std::vector<Part> items(const Part& part) const {
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

  static std::vector<Part> children(const Part& part) {
    std::vector<Part> result;
    for (std::size_t i = 0; i < part.size(); ++i) result.push_back(part.child(i));
    return result;
  }

  bool in_order(const std::vector<Part>& a, const std::vector<Part>& b) {
    if (a.size() != b.size()) return no(Reason::different);
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!equal(a[i], b[i])) return false;
    }
    return true;
  }

  bool in_any_order(const std::vector<Part>& a, std::vector<Part> b) {
    if (a.size() != b.size() || a.size() > kMaxItems) return no(Reason::different);
    for (const Part& item : a) {
      const auto found =
          std::find_if(b.begin(), b.end(), [&](const Part& other) { return equal(item, other); });
      if (found == b.end()) return no(Reason::different);
      b.erase(found);
    }
    return yes(Reason::same_value);
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

  // ---- Numbers and expressions ----

  bool scalars_equal(const Part& a, const Part& b) {
    if (infinity(a) != 0 || infinity(b) != 0) {
      return infinity(a) == infinity(b) ? yes(Reason::same_value) : no(Reason::different);
    }
    const bool symbols = has_symbol(*a.expression, a.id);
    if (symbols != has_symbol(*b.expression, b.id)) {
      // x - x is 0, but nobody answers so; a symbol that matters differs from every constant.
      return symbols ? expressions_equal(a, b) : expressions_equal(b, a);
    }
    if (symbols) return expressions_equal(a, b);
    const std::optional<Rational> exact_a = exact(a);
    const std::optional<Rational> exact_b = exact(b);
    if (exact_a && exact_b) {
      if (fmpq_equal(exact_a->get(), exact_b->get())) return yes(Reason::same_value);
    } else if (agree(a, b, kQuickBits) && agree(a, b, kSureBits)) {
      return yes(Reason::same_value);
    }
    if (rounds_to(a, b) || rounds_to(b, a)) return yes(Reason::rounded);
    return no(Reason::different);
  }

  std::optional<Rational> exact(const Part& part) {
    return exact_value(*part.expression, part.id, budget_);
  }
  std::optional<Ball> ball(const Part& part, int point, std::int64_t bits) {
    return ball_value(*part.expression, part.id,
                      {.number = point, .sign = part.sign == 0 ? 1 : part.sign}, bits, budget_);
  }

  bool agree(const Part& a, const Part& b, std::int64_t bits) {
    const std::optional<Ball> x = ball(a, 0, bits);
    const std::optional<Ball> y = x ? ball(b, 0, bits) : std::nullopt;
    return x && y && overlap(*x, *y, bits);
  }

  // Whether two balls overlap and are small enough for that to mean something.
  static bool overlap(const Ball& x, const Ball& y, std::int64_t bits) {
    if (!acb_overlaps(x.get(), y.get())) return false;
    return is_small(x, bits) && is_small(y, bits);
  }
  // Radius at most 2^(-bits/2), absolutely or relative to the value.
  static bool is_small(const Ball& x, std::int64_t bits) {
    const slong accuracy = acb_rel_accuracy_bits(x.get());
    if (accuracy >= bits / 2) return true;
    mag_t radius;
    mag_init(radius);
    mag_max(radius, arb_radref(acb_realref(x.get())), arb_radref(acb_imagref(x.get())));
    const bool small = mag_cmp_2exp_si(radius, -bits / 2) <= 0;
    mag_clear(radius);
    return small;
  }

  // Equal at every point, as far as both are defined there; different where the balls are disjoint.
  bool expressions_equal(const Part& a, const Part& b) {
    int compared = 0;
    for (int point = 0; point < kPoints; ++point) {
      std::optional<Ball> x, y;
      std::int64_t bits = kSymbolBits;
      for (;; bits *= 4) {  // what cancels takes bits away
        x = ball(a, point, bits);
        y = ball(b, point, bits);
        if (budget_.is_spent()) return no(Reason::budget);
        if (!x || !y || !acb_overlaps(x->get(), y->get())) break;
        if (is_small(*x, kSymbolBits) && is_small(*y, kSymbolBits)) break;
        if (bits >= kMaxSymbolBits) return no(Reason::budget);
      }
      if (!x && !y) continue;
      if (!x || !y || !acb_overlaps(x->get(), y->get())) return no(Reason::different);
      ++compared;
    }
    return compared > 0 ? yes(Reason::same_value) : no(Reason::budget);
  }

  // The digits of a decimal: how many stand after the point, and how many count.
  struct Decimal {
    std::int64_t places = 0;
    std::size_t significant = 0;
  };
  static std::optional<Decimal> decimal(Part part) {
    while (part.kind() == Kind::negate || part.kind() == Kind::percent) part = part.child(0);
    if (part.kind() != Kind::number) return std::nullopt;
    const std::string& text = part.node().text;
    const std::size_t point = text.find('.');
    if (point == std::string::npos) return std::nullopt;
    std::string digits = text;
    digits.erase(point, 1);
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    return Decimal{.places = static_cast<std::int64_t>(text.size() - point - 1),
                   .significant = digits.size()};
  }
  static bool is_literal(Part part) {
    while (part.kind() == Kind::negate || part.kind() == Kind::percent) part = part.child(0);
    return part.kind() == Kind::number;
  }

  // Whether `written` is a decimal and `value`, no literal itself, rounds to it.
  bool rounds_to(const Part& written, const Part& value) {
    const std::optional<Decimal> digits = decimal(written);
    if (!digits || digits->significant < kMinSignificantDigits || is_literal(value)) return false;
    std::optional<Ball> x = ball(written, 0, kQuickBits);
    const std::optional<Ball> y = x ? ball(value, 0, kQuickBits) : std::nullopt;
    if (!x || !y) return false;
    // Half a unit in the last place; of a percentage, a hundredth of that.
    Ball half;
    acb_set_si(half.get(), 10);
    acb_pow_si(half.get(), half.get(), -digits->places - (written.kind() == Kind::percent ? 2 : 0),
               kQuickBits);
    acb_mul_2exp_si(half.get(), half.get(), -1);
    acb_sub(x->get(), x->get(), y->get(), kQuickBits);
    if (!acb_is_real(x->get())) return false;
    arb_abs(x->real(), x->real());
    return !arb_gt(x->real(), half.real());
  }

  // ---- Equations and inequalities ----

  bool relations_equal(const Part& a, const Part& b) {
    const std::string& operator_a = a.node().text;
    const std::string& operator_b = b.node().text;
    if (const std::optional<Interval> x = interval(a)) {
      if (const std::optional<Interval> y = interval(b)) return same_interval(*x, *y);
    }
    if (operator_a == "chain" || operator_b == "chain") {
      if (operator_a != operator_b || a.size() != b.size()) return no(Reason::different_kind);
      return links_equal(a, b);
    }
    return links_equal_as_differences(a, b);
  }

  bool links_equal(const Part& a, const Part& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!links_equal_as_differences(a.child(i), b.child(i))) return false;
    }
    return true;
  }

  // left - right of one is a multiple of the other's: positive where the direction is the same.
  bool links_equal_as_differences(const Part& a, const Part& b) {
    const std::string& operator_a = a.node().text;
    const std::string& operator_b = b.node().text;
    const bool same = operator_a == operator_b;
    const bool reverse = operator_a == reversed(operator_b);
    if (!same && !reverse) return no(Reason::different);
    std::optional<Ball> factor;
    for (int point = 0; point < kPoints; ++point) {
      const std::optional<Ball> x = difference(a, point);
      const std::optional<Ball> y = difference(b, point);
      if (!x || !y) return no(Reason::different);
      if (!factor) {
        if (acb_contains_zero(x->get()) || acb_contains_zero(y->get())) {
          return no(Reason::different);  // an identity says nothing
        }
        factor.emplace();
        acb_div(factor->get(), x->get(), y->get(), kSymbolBits);
        if (!acb_is_real(factor->get())) return no(Reason::different);
        const bool positive = arb_is_positive(factor->real()) != 0;
        const bool either = same && reverse;  // = and !=
        if (!either && positive != same) return no(Reason::different);
      }
      Ball expected;
      acb_mul(expected.get(), y->get(), factor->get(), kSymbolBits);
      if (!overlap(*x, expected, kSymbolBits)) return no(Reason::different);
    }
    return yes(Reason::same_value);
  }

  static std::string_view reversed(std::string_view relation) {
    if (relation == "<") return ">";
    if (relation == ">") return "<";
    if (relation == "<=") return ">=";
    if (relation == ">=") return "<=";
    return relation;
  }

  std::optional<Ball> difference(const Part& relation, int point) {
    if (relation.size() != 2) return std::nullopt;
    std::optional<Ball> left = ball(relation.child(0), point, kSymbolBits);
    const std::optional<Ball> right = ball(relation.child(1), point, kSymbolBits);
    if (!left || !right) return std::nullopt;
    acb_sub(left->get(), left->get(), right->get(), kSymbolBits);
    return left;
  }

  bool intervals_equal(const Part& a, const Part& b) {
    const std::optional<Interval> x = interval(a);
    const std::optional<Interval> y = interval(b);
    if (!x || !y) return no(Reason::different_kind);
    return same_interval(*x, *y);
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

  // Of (a, b], a < x <= b, x > a; the ends have no symbols, and x is a name.
  std::optional<Interval> interval(const Part& part) {
    Interval result;
    if (part.kind() == Kind::bracket && part.size() == 2) {
      set_low(result, part.child(0), part.node().text[0] == '[');
      set_high(result, part.child(1), part.node().text[1] == ']');
      return result;
    }
    if (!is_relation(part)) return std::nullopt;
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

  static void set_low(Interval& interval, const Part& end, bool closed) {
    if (infinity(end) < 0) return;
    interval.low = end;
    interval.low_closed = closed;
  }
  static void set_high(Interval& interval, const Part& end, bool closed) {
    if (infinity(end) > 0) return;
    interval.high = end;
    interval.high_closed = closed;
  }

  Budget& budget_;
  Reason reason_ = Reason::different;
};

// Letters, digits and marks as tokens spell them: what styles and spaces do not change.
std::string text_of(const std::vector<Token>& tokens) {
  std::string result;
  for (const Token& token : tokens) {
    for (const char c : token.text) {
      if (c != ' ' && c != '.' && c != '~') result += c;
    }
    if (token.kind == TokenKind::command) result += '\\';
  }
  return result;
}

// The same without case, parentheses and punctuation, for words.
std::string words_of(const std::vector<Token>& tokens) {
  std::string result;
  for (const char c : text_of(tokens)) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (std::string_view("()[],;:'\"!?-").find(c) == std::string_view::npos) {
      result += upper ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return result;
}

bool has_words(const std::vector<Token>& tokens) {
  return std::any_of(tokens.begin(), tokens.end(),
                     [](const Token& token) { return token.kind == TokenKind::words; });
}

bool is_percentage(const Expression& expression) {
  return expression.at(expression.root).kind == Kind::percent;
}

}  // namespace

Comparison compare_answers(std::string_view answer, std::string_view reference) {
  if (answer.size() > kMaxBytes || reference.size() > kMaxBytes) {
    return {.equal = answer == reference,
            .reason = answer == reference ? Reason::same_text : Reason::budget};
  }
  std::vector<Token> answer_tokens = tokenize(answer);
  std::vector<Token> reference_tokens = tokenize(reference);
  const std::string answer_text = text_of(answer_tokens);
  if (!answer_text.empty() && answer_text == text_of(reference_tokens)) {
    return {.equal = true, .reason = Reason::same_text};
  }
  if (has_words(answer_tokens) || has_words(reference_tokens)) {
    const std::string words = words_of(answer_tokens);
    if (!words.empty() && words == words_of(reference_tokens)) {
      return {.equal = true, .reason = Reason::same_text};
    }
  }
  const std::optional<Expression> a = parse_expression(std::move(answer_tokens));
  const std::optional<Expression> b = parse_expression(std::move(reference_tokens));
  if (!a || !b) return {.equal = false, .reason = Reason::not_parsed};
  Budget budget;
  Comparer comparer(budget);
  const bool equal =
      comparer.equal({.expression = &*a, .id = a->root}, {.expression = &*b, .id = b->root});
  if (equal) return {.equal = true, .reason = comparer.reason()};
  if (is_percentage(*b) && !is_percentage(*a)) {
    Comparer as_number(budget);
    if (as_number.equal({.expression = &*a, .id = a->root},
                        {.expression = &*b, .id = b->at(b->root).children[0]})) {
      return {.equal = true, .reason = Reason::percent_as_number};
    }
  }
  return {.equal = false, .reason = comparer.reason()};
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
