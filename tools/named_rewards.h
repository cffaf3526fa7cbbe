// The rewards of a run by the names a recipe gives them.
#pragma once

#include <string>
#include <vector>

#include "rewards/weighted_sum.h"

namespace zeroth {

/// Throws InputError for an unknown name or a wrong number of weights.
WeightedRewards named_rewards(const std::vector<std::string>& names,
                              const std::vector<double>& weights);

}  // namespace zeroth
