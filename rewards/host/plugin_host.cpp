#include "rewards/host/plugin_host.h"

#include <filesystem>
#include <memory>

#include "rewards/host/host_serving.h"
#include "rewards/host/loaded_plugin.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::string_view kEnding = ".so";

std::unique_ptr<LoadedPlugin> load(const std::string& file, const std::string& parameters) {
  try {
    return std::make_unique<LoadedPlugin>(file, parameters);
  } catch (const InputError&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError({.source = file,
                      .field = "",
                      .expected = "a reward that can be loaded",
                      .actual = std::string("exception: ") + error.what()});
  }
}

}  // namespace

bool names_plugin(std::string_view name) {
  return name.ends_with(kEnding);
}

std::unique_ptr<HostedReward> make_plugin_reward(const std::string& file, const RewardHost& host) {
  // dlopen looks for a name without a slash among the system's libraries.
  return std::make_unique<HostedReward>(
      host, file,
      HostedProgram{
          .arguments = {"plugin", std::filesystem::absolute(file).string(), host.parameters}});
}

void serve_plugin(const std::string& file, const std::string& parameters, int channel) {
  std::unique_ptr<LoadedPlugin> plugin;
  try {
    plugin = load(file, parameters);
  } catch (const InputError& error) {
    return serve_refusal(channel, error);
  }
  serve_items(channel,
              {.accepted = true, .name = plugin->name(), .description = plugin->description()},
              [&](std::span<const RewardItem> items) { return plugin->call(items); });
}

}  // namespace zeroth
