// Do two answers say the same? Total and bounded for any bytes.
//
// Goals: exact where the values are rational; elsewhere a difference is certain (two disjoint
// balls), and equality means agreement to some 600 digits or at several points. Non-goal: deciding
// every identity; what the budget does not decide is not equal, and says so.
#pragma once

#include <string_view>

namespace zeroth::math {

/// Why a comparison came out as it did.
enum class Reason {
  same_text,          // without white space and styles
  same_value,         // equal numbers, expressions, sets, …
  rounded,            // a decimal that the other's value rounds to
  unit_left_out,      // 5 cm and 5
  percent_as_number,  // the reference is 50 %, the answer 50
  different,          // parsed, and not equal
  different_kind,     // such as a number and an interval
  different_unit,
  not_parsed,  // and the texts differ
  budget,      // not decided within the budget
};

struct Comparison {
  bool equal = false;
  Reason reason = Reason::not_parsed;
};

/// What a question or a recipe may ask for beyond the usual.
struct EqualityPolicy {
  bool ordered_lists = false;    // "1, 2" and {1, 2} are in order, as tuples always are
  bool decimal_comma = false;    // "1,22" may be 1.22, as it may in prose
  int decimals = 0;              // > 0: a decimal equals what rounds to it at so many decimals
  bool any_names = false;        // f(x) and f(y) are the same
  bool relation_for_set = true;  // where the reference is an interval, an inequality may answer it
};

/// Compares an answer with the reference.
///
/// - Numbers: 1/2 = 0.5 = 50 %. A decimal with three significant digits or more equals a value
///   that is no decimal itself and rounds to it. 50 equals the reference 50 %, not the reverse.
/// - "x = 5", "5 = x" and "2 + 3 = 5" equal 5; an equation equals another whose difference of sides
///   is a multiple; an inequality and the interval, or intervals, that it describes are equal.
/// - Order matters in tuples, points and intervals; lists and sets have none, and what only one
/// side
///   says twice counts once. Where several values have names, names go with values. ± is both.
/// - A unit may be left out; different units differ. A numeral with a base equals only itself.
/// - Words are compared without case, white space and punctuation.
Comparison compare_answers(std::string_view answer, std::string_view reference,
                           const EqualityPolicy& policy = {});

/// Whether an answer leaves sums or products of numbers to do, as "312+176" and "x = 2\cdot 3", but
/// not "3\frac12", "2\cdot10^3", "1/2" and "2\pi". Where a question is arithmetic, such an answer
/// is equal to the reference and repeats the question.
bool is_unevaluated(std::string_view answer);

std::string_view reason_name(Reason reason);

}  // namespace zeroth::math
