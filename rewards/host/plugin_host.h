// Rewards in shared objects (plugin_abi.h), loaded by a child process.
#pragma once

#include <memory>
#include <string>

#include "rewards/host/hosted_reward.h"

namespace zeroth {

/// Whether a word of reward_funcs names a shared object.
bool names_plugin(std::string_view name);

/// InputError when `file` is missing, does not load, exports no zeroth_reward() or has another ABI,
/// or does not take the host's parameters.
std::unique_ptr<HostedReward> make_plugin_reward(const std::string& file, const RewardHost& host);

/// The child's side, in the sandbox already: loads the plugin and answers on descriptor `channel`
/// until it is closed.
void serve_plugin(const std::string& file, const std::string& parameters, int channel);

}  // namespace zeroth
