// Finds formulas in prose: "$x = 3$", "\[ … \]", "(1/2) * (4/3)", "1,000.99€", "$1$, $2$ and $3$".
//
// Goals: total, linear in the length. Non-goal: judging whether a formula is an answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {

/// What counts as a formula.
struct FormulaKinds {
  bool marked = true;  // in $…$, $$…$$, \(…\), \[…\] or an environment; and a bare \frac{…}{…}
  bool plain = true;  // numbers, sums and products of numbers, (1, 2), as they stand in prose
};

/// One formula in a text.
struct FormulaSpan {
  std::size_t begin = 0, end = 0;              // with its marks
  std::size_t inner_begin = 0, inner_end = 0;  // without
  bool is_marked = false;
  bool is_percent = false;  // a percent sign, or the word, follows; `end` is after it
};

/// Walks through the formulas of a text from left to right.
class FormulaSearch {
 public:
  FormulaSearch(std::string_view text, FormulaKinds kinds);

  /// Goes to the next formula, or to the next ones that commas, "and" or "or" join to a list; false
  /// after the last.
  bool next();

  /// Where next() is: at least one.
  const std::vector<FormulaSpan>& spans() const { return spans_; }

 private:
  std::optional<FormulaSpan> single();
  std::optional<FormulaSpan> marked();
  std::optional<FormulaSpan> between(std::string_view open, std::string_view close, bool& absent);
  std::optional<FormulaSpan> dollars();
  std::optional<FormulaSpan> environment();
  std::optional<FormulaSpan> bare_fraction();
  std::optional<FormulaSpan> plain();

  std::string_view text_;
  FormulaKinds kinds_;
  std::size_t at_ = 0;
  std::vector<FormulaSpan> spans_;
  std::optional<FormulaSpan> pending_;  // read, and not part of the list before it
  // What closes nowhere in the rest is not looked for again.
  bool no_display_ = false, no_bracket_ = false, no_parenthesis_ = false, no_environment_ = false;
  std::size_t no_dollar_before_ = 0;  // no $ closes before this position
  std::size_t paragraph_end_ = 0;     // the first at or after at_, once looked for
};

/// The formulas without marks, joined by ", "; a percent sign that follows is "\%".
std::string formula_text(std::string_view text, const std::vector<FormulaSpan>& spans);

/// The last formula of `text`, which is looked for in the lines of its last 64 KiB, or nothing.
std::optional<std::string> last_formula(std::string_view text, FormulaKinds kinds = {});

/// The formula that `sentence` states: the one that it begins with, else the one right after "is",
/// "are", "=" or ":", else the first.
std::optional<std::string> stated_formula(std::string_view sentence, FormulaKinds kinds = {});

/// How many bytes a percent sign or "percent" takes at the front of `text`, spaces before it
/// included; else 0.
std::size_t percent_bytes(std::string_view text);

/// Whether nothing but "," ";" "and" "or", marks of formulas and spaces stands in `text`, or words
/// that end in "and" or "or", so that what stands before and after it makes a list.
bool joins_answers(std::string_view text);

}  // namespace zeroth
