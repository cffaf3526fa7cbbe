// Grades recorded calls of reward functions of TRL, open-r1 and NeMo-RL by our rewards of the same
// rule.
//
// A row has "function", the arguments that made it ("factory_kwargs"), those of the call ("args",
// "kwargs"), and what came out ("output"; or "raises"). A call says by its arguments whose function
// it is: "response" is NeMo-RL's, tokens are TRL's.
#pragma once

#include <string>
#include <string_view>

#include "system/json.h"
#include "tools/cases.h"

namespace zeroth {

/// What the row asks for: "reward call: " and the name of the function, with what sets its rule
/// apart from the one we have.
std::string reward_case_kind(const JsonReader& row);

bool grades_reward_case(std::string_view kind);

/// `kind` is one that grades_reward_case holds of. `got` is a number an item, null where the reward
/// does not apply; or "refused" where arguments are. Scores agree within 1e-9. Throws InputError
/// for a row without what its call needs.
CaseResult grade_reward_case(const JsonReader& row, const std::string& kind);

}  // namespace zeroth
