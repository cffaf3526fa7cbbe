// Rewards that look at one completion at a time: a name and a rule.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "rewards/reward.h"

namespace zeroth {

/// The score of one item; nothing where the rule has nothing to say about it; InputError where the
/// item lacks what the rule needs. Pure.
using ItemRule = std::function<std::optional<double>(const RewardItem&)>;

/// Reward::wanted_instead_of of such a reward.
using ReferenceRule = std::function<std::string(std::string_view reference)>;

/// score() throws RewardError for an item that the rule has nothing to say about. An InputError is
/// `raised`, and stops a run before it begins where the items it is tried on have it. Without
/// `references` every reference will do.
std::unique_ptr<Reward> make_item_reward(std::string name, ItemRule rule,
                                         ReferenceRule references = {});

/// Tokens of the completion; nothing where only its text is known: it has text, and nobody counted
/// its tokens.
std::optional<std::int64_t> length_in_tokens(const RewardItem& item);

}  // namespace zeroth
