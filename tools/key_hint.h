// What a person probably meant by a key that does not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/options.h"

namespace zeroth {

/// "num_generations" for "num_generation", by spelling; "num_generations (rollout.n in verl)" for
/// names that other toolkits use for one of the fields. Such names are explained, never accepted: a
/// recipe keeps one spelling.
std::string nearest_key(std::string_view unknown, const std::vector<Field>& fields);

}  // namespace zeroth
