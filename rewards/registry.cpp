#include "rewards/registry.h"

#include <array>
#include <string>
#include <vector>

#include "rewards/format_reward.h"
#include "rewards/math_reward.h"
#include "rewards/plugin_host.h"
#include "rewards/program_host.h"
#include "rewards/script_host.h"
#include "system/error.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

constexpr std::array<RewardEntry, 4> kEntries = {{
    {"accuracy", "1 when the final answer equals the reference, else 0",
     list_parameters<NoParameters>,
     [](const RewardOptions& options) {
       read_parameters<NoParameters>("accuracy", options.parameters);
       return make_accuracy_reward({.extraction = options.extraction});
     }},
    {"accuracy_in_format", "1 when both accuracy and format are 1, else 0",
     list_parameters<NoParameters>,
     [](const RewardOptions& options) {
       read_parameters<NoParameters>("accuracy_in_format", options.parameters);
       return make_accuracy_in_format_reward({.extraction = options.extraction});
     }},
    {"format",
     "1 when the completion is <think>…</think><answer>…</answer> and nothing else, else 0",
     list_parameters<NoParameters>,
     [](const RewardOptions& options) {
       read_parameters<NoParameters>("format", options.parameters);
       return make_format_reward();
     }},
    {"format_parts", "0.25 for each of the four tags that occurs once and in order",
     list_parameters<NoParameters>,
     [](const RewardOptions& options) {
       read_parameters<NoParameters>("format_parts", options.parameters);
       return make_graded_format_reward();
     }},
}};

RewardHost with_parameters(const RewardOptions& options) {
  RewardHost host = options.host;
  host.parameters = options.parameters;
  return host;
}

}  // namespace

std::span<const RewardEntry> reward_entries() {
  return kEntries;
}

std::unique_ptr<Reward> make_reward(std::string_view name, const RewardOptions& options) {
  const std::string word(name);
  if (names_script(word)) return make_script_reward(word, with_parameters(options));
  if (names_program(word)) return make_program_reward(word, with_parameters(options));
  if (names_plugin(word)) return make_plugin_reward(word, with_parameters(options));
  std::vector<std::string> names;
  std::string list;
  for (const RewardEntry& entry : kEntries) {
    if (entry.name == name) return entry.make(options);
    list += (names.empty() ? "" : ", ") + std::string(entry.name);
    names.emplace_back(entry.name);
  }
  throw InputError({.source = "reward_funcs",
                    .field = "",
                    .expected = "one of " + list +
                                ", FILE.so, python:FILE:FUNCTION or exec:FILE; nearest is " +
                                nearest_name(name, names),
                    .actual = word});
}

}  // namespace zeroth
