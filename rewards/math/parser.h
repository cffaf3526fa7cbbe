// Reads an answer: LaTeX or plain mathematics into an Expression.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rewards/math/expression.h"
#include "rewards/math/tokens.h"

namespace zeroth::math {

/// The whole of `text` as one answer, or nothing where it is none or passes a limit. Total; work
/// and memory are linear in the length.
///
/// As people write: implicit products (2x, 3\sqrt2), mixed numbers (3\frac12, 3 1/2), functions
/// without parentheses (\sin^2 x), percent and degree signs, units after a value, sets, tuples,
/// intervals, matrices, lists with commas, semicolons, "and" and "or", ± for two values, equations,
/// inequalities and chains of them (a chain is a list of its links), numerals with a base (52_8).
std::optional<Expression> parse_expression(std::string_view text,
                                           const ExpressionLimits& limits = {});
std::optional<Expression> parse_expression(std::vector<Token> tokens,
                                           const ExpressionLimits& limits = {});

}  // namespace zeroth::math
