// A plugin in this process: loaded, checked, given its parameters and called (plugin_abi.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "rewards/host/host_protocol.h"
#include "rewards/reward.h"
#include "system/error.h"

struct zeroth_reward_plugin;

namespace zeroth {

class LoadedPlugin {
 public:
  /// InputError, the source of which is `file`, for what is no plugin of this ABI, and for
  /// `parameters` (a JSON object as text; empty: none) that the plugin does not take.
  LoadedPlugin(const std::string& file, const std::string& parameters);
  ~LoadedPlugin();
  LoadedPlugin(const LoadedPlugin&) = delete;
  LoadedPlugin& operator=(const LoadedPlugin&) = delete;

  std::string name() const;
  std::string description() const;
  /// One call of score(), and what became of it. Throws nothing that the plugin throws.
  HostReply call(std::span<const RewardItem> items) const;

 private:
  HostReply call_unguarded(std::span<const RewardItem> items) const;

  const zeroth_reward_plugin* plugin_;
  void* state_ = nullptr;
};

}  // namespace zeroth
