// The rewards a run can name. A new reward is one class, one factory and one row in registry.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/answers/answer_extraction.h"
#include "rewards/host/hosted_reward.h"
#include "rewards/reward.h"
#include "rewards/reward_parameters.h"

namespace zeroth {

/// What the rewards of one run share, and the parameters of one of them.
struct RewardOptions {
  ExtractionConfig extraction = {};  // of the rewards that look at the answer
  RewardHost host = {};              // of the user's own
  std::string parameters = "{}";     // JSON object: what reward_config says of this reward
};

struct RewardEntry {
  std::string_view name;         // as written in reward_funcs
  std::string_view description;  // one line, for --help
  std::vector<RewardParameter> (*parameters)();
  std::unique_ptr<Reward> (*make)(std::string_view name, const RewardOptions& options);
};

/// Every reward, by name in alphabetical order.
std::span<const RewardEntry> reward_entries();

/// By a name of the registry, or a reward of the user's own: a file that ends in .so,
/// python:FILE:FUNCTION or exec:FILE. Throws InputError with the nearest name and the list for an
/// unknown name or parameter, for a parameter of the wrong type or out of range, and what
/// make_plugin_reward, make_script_reward and make_program_reward throw.
std::unique_ptr<Reward> make_reward(std::string_view name, const RewardOptions& options = {});

}  // namespace zeroth
