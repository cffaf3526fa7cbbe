// The number that a text stands for where its symbols have given values, held against a decimal.
//
// Goal: certain. The value lies in a ball, and agrees where the whole ball lies within a unit in
// the last digit of what is expected. What has no number says why.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace zeroth::math {

/// `symbol` as LaTeX or as a name ("x", "h_{\theta}", "theta"), `value` a rational: "37/29".
struct SymbolValue {
  std::string_view symbol, value;
};

struct ValueComparison {
  bool equal = false;
  std::string got;  // 15 digits, "oo", "1.5 + 2*I"; empty where there is no number
  std::string why;  // there is none, or that it differs
};

/// `expected` is written as computer algebra prints it: "2.5", "1.0e-15", "oo", "1.5 - 0.7*I".
/// Total and bounded for any bytes.
ValueComparison compare_value(std::string_view text, std::span<const SymbolValue> values,
                              std::string_view expected);

}  // namespace zeroth::math
