// Values in balls: sums and products over an index, determinants, cases.
#include <acb_mat.h>

#include "rewards/math/balls.h"

namespace zeroth::math {
namespace {

constexpr slong kMaxTerms = 10'000;  // of a sum or product over an index

}  // namespace

// One term after the other where the ends are whole numbers. Where the term does not depend on
// the index, n times or to the n-th.
bool Balls::over_index(Ball& out, const Node& node) {
  const bool is_sum = node.kind == Kind::sum_over;
  const std::optional<Rational> low = exact(node.children[0]);
  const std::optional<Rational> high = low ? exact(node.children[1]) : std::nullopt;
  if (!high) return false;
  Rational count;
  fmpq_sub(count.get(), high->get(), low->get());
  fmpq_add_si(count.get(), count.get(), 1);
  const bool is_whole = fmpz_is_one(fmpq_denref(count.get())) != 0;
  if (is_whole && fmpq_sgn(count.get()) <= 0) {
    is_sum ? acb_zero(out.get()) : acb_one(out.get());
    return true;
  }
  if (!depends_on(node.children[2], node.text)) {
    Ball term, times;
    if (!value(term, node.children[2])) return false;
    acb_set_fmpq(times.get(), count.get(), bits_);
    if (!is_sum) return principal_power(out, term, times) && acb_is_finite(out.get());
    acb_mul(out.get(), term.get(), times.get(), bits_);
    return true;
  }
  if (!is_whole || fmpz_cmp_si(fmpq_numref(count.get()), kMaxTerms) > 0) return false;
  is_sum ? acb_zero(out.get()) : acb_one(out.get());
  Rational index = *low;
  const Binding binding{.name = node.text, .value = nullptr, .exact = &index, .outer = bound_};
  const Binding* outside = std::exchange(bound_, &binding);
  bool known = true;
  for (slong i = fmpz_get_si(fmpq_numref(count.get())); known && i > 0; --i) {
    Ball term;
    known = value(term, node.children[2]);
    (is_sum ? acb_add : acb_mul)(out.get(), out.get(), term.get(), bits_);
    fmpq_add_si(index.get(), index.get(), 1);
  }
  bound_ = outside;
  return known && acb_is_finite(out.get());
}

bool Balls::depends_on(NodeId id, const std::string& name) const {
  return any_below(expression_, id, [&name](const Node& node) {
    return node.kind == Kind::symbol && node.text == name;
  });
}

bool Balls::determinant(Ball& out, const Node& matrix) {
  const auto cells = static_cast<std::int64_t>(matrix.children.size());
  if (!budget_.spend(cells * cells * cost_of(Kind::multiply))) return false;
  const slong columns = std::stol(matrix.text);
  acb_mat_t rows;
  acb_mat_init(rows, columns, columns);
  bool known = true;
  for (slong i = 0; known && i < columns * columns; ++i) {
    Ball cell;
    known = value(cell, matrix.children[static_cast<std::size_t>(i)]);
    acb_set(acb_mat_entry(rows, i / columns, i % columns), cell.get());
  }
  if (known) acb_mat_det(out.get(), rows, bits_);
  acb_mat_clear(rows);
  return known && acb_is_finite(out.get());
}

// The value at the first condition that holds, if all before it fail for certain.
bool Balls::piecewise(Ball& out, const Node& node) {
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const std::optional<bool> holds = condition(node.children[i + 1]);
    if (!holds) return false;
    if (*holds) return value(out, node.children[i]);
  }
  return node.children.size() % 2 == 1 && value(out, node.children.back());
}

std::optional<bool> Balls::condition(NodeId id) {
  const Node& node = expression_.at(id);
  if (node.kind == Kind::words) return true;  // otherwise
  if (node.kind != Kind::relation) return std::nullopt;
  if (node.text == "chain") {
    for (const NodeId link : node.children) {
      const std::optional<bool> holds = condition(link);
      if (!holds || !*holds) return holds;
    }
    return true;
  }
  Ball difference, right;
  if (!value(difference, node.children[0]) || !value(right, node.children[1])) return {};
  acb_sub(difference.get(), difference.get(), right.get(), bits_);
  if (acb_is_zero(difference.get())) {
    return node.text == "=" || node.text == "<=" || node.text == ">=";
  }
  if (acb_contains_zero(difference.get())) return {};
  if (node.text == "=" || node.text == "!=") return node.text == "!=";
  if (!acb_is_real(difference.get())) return {};
  return arb_is_negative(difference.real()) == (node.text[0] == '<');
}

}  // namespace zeroth::math
