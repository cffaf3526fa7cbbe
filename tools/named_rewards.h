// The rewards of a run by the names a recipe gives them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "rewards/registry.h"
#include "rewards/weighted_sum.h"
#include "rl/config.h"

namespace zeroth {

/// How the rewards of a command are made.
RewardOptions reward_options(const NamedRewardOptions& host);

/// Throws InputError for an unknown name, a reward of the user's own that cannot be loaded, or a
/// wrong number of weights. `check_stop` is RewardHost's.
WeightedRewards named_rewards(const std::vector<std::string>& names,
                              const std::vector<double>& weights,
                              const NamedRewardOptions& host = {},
                              std::function<void()> check_stop = {});

/// Tries rewards on the first problems with their own answers as completions. InputError for what
/// cannot be right on any completion.
void try_on(const WeightedRewards& rewards, std::span<const Problem> problems);
void try_on(const Reward& reward, std::span<const Problem> problems);

/// What the scores of each reward are a function of, beside what it scores: its name and, for one
/// of the user's own, the hash of its file, else the answer_rules where they are not the default.
/// What a file reads or imports is not looked at.
std::vector<std::string> reward_identities(const WeightedRewards& rewards,
                                           const std::string& answer_rules);

/// "brevity (brevity.so, seccomp), …": the rewards among them that live in processes, and how far
/// these are held; empty for none.
std::string isolation_of(const WeightedRewards& rewards, const std::vector<std::string>& names);

}  // namespace zeroth
