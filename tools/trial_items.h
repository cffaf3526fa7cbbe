// What rewards are tried on before a run.
#pragma once

#include <span>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

/// The first three of `items` (again from the first where there are fewer), as a function that
/// gives one number for all, or two, is found by them; and the first that has each further column,
/// 64 in all at most, so that a parameter of a Python function that is no column is one of none.
std::vector<RewardItem> trial_items(std::span<const RewardItem> items);

}  // namespace zeroth
