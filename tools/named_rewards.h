// The rewards of a run by the names a recipe gives them.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "rewards/registry.h"
#include "rewards/weighted_sum.h"
#include "rl/config.h"

namespace zeroth {

/// Throws InputError for an unknown name, a reward of the user's own that cannot be loaded, and for
/// a reward_config that is no such thing or sets what is not there. `check_stop` and `hidden` are
/// RewardHost's; an empty path among these is none.
std::vector<std::unique_ptr<Reward>> make_rewards(const std::vector<std::string>& names,
                                                  const NamedRewardOptions& host,
                                                  std::function<void()> check_stop = {},
                                                  const std::vector<std::string>& hidden = {});

/// The same, weighted. InputError for a wrong number of weights too.
WeightedRewards named_rewards(const std::vector<std::string>& names,
                              const std::vector<double>& weights,
                              const NamedRewardOptions& host = {},
                              std::function<void()> check_stop = {},
                              const std::vector<std::string>& hidden = {});

/// Tries rewards on the first problems with their own answers as completions, and looks at the
/// reference of every problem. InputError for what cannot be right on any completion, and for a
/// problem that no completion can be right on.
void try_on(const WeightedRewards& rewards, std::span<const Problem> problems);
void try_on(const Reward& reward, std::span<const Problem> problems);

/// InputError when the references of some places cannot be what `reward` needs, naming the first of
/// them and their number. `places` are for a reader, one a reference ("problems.jsonl:3").
void check_references(const Reward& reward, std::span<const std::string_view> references,
                      std::span<const std::string> places);

/// What the scores of each reward are a function of, beside what it scores: its name and, for one
/// of the user's own, the hash of its file, else the answer_rules where they are not the default;
/// and the parameters where there are any. What a file reads or imports is not looked at. `words`
/// are those the rewards were made from.
std::vector<std::string> reward_identities(const WeightedRewards& rewards,
                                           const std::vector<std::string>& words,
                                           const NamedRewardOptions& options);

/// "brevity (brevity.so, seccomp), …": the rewards among them that live in processes, and how far
/// these are held; empty for none.
std::string isolation_of(const WeightedRewards& rewards, const std::vector<std::string>& names);
/// The same of one, and how it was named.
std::string isolation_of(const Reward& reward, const std::string& name);

}  // namespace zeroth
