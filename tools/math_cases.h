// Grades recorded cases of mathematical answers: pairs of answers, completions, texts an answer is
// to be found in.
#pragma once

#include <string>
#include <string_view>

#include "system/json.h"
#include "tools/cases.h"

namespace zeroth {

bool grades_math_case(std::string_view kind);

/// `kind` is one that grades_math_case holds of. Throws InputError for a row without what its kind
/// needs.
CaseResult grade_math_case(const JsonReader& row, const std::string& kind);

}  // namespace zeroth
