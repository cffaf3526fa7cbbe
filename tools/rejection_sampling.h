// The control of the quickstart: what the same sampled tokens are worth without reinforcement
// learning. Every round samples as a GRPO step does, keeps the completions that are right, and
// fine-tunes on them (rejection-sampling fine-tuning, Yuan et al. 2023, arXiv:2308.01825,
// iterated).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "kernels/context.h"
#include "policy/prompt_template.h"
#include "rewards/weighted_sum.h"
#include "rl/config.h"

namespace zeroth {

/// Right is a completion to which the first of `right` gives more than 0.5.
/// Runs config.max_steps rounds from config.model_name_or_path with GRPO's batch, learning rate and
/// optimizer, and writes the result to `to`. `check_stop` is called between passes and may throw.
void rejection_sampling(const Context& context, const GrpoConfig& config,
                        const std::vector<Problem>& problems, const PromptTemplate& prompt_template,
                        const WeightedRewards& right, const std::filesystem::path& to,
                        const std::function<void(const std::string&)>& note,
                        const std::function<void()>& check_stop);

}  // namespace zeroth
