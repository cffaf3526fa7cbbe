#include "rl/report_completions.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rl/completions_log.h"
#include "rl/number_or_null.h"
#include "system/utf8.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kPromptsShown = 3;    // of a step's completions
constexpr std::size_t kLongestText = 4000;  // bytes of a completion or prompt that are shown

json::value shortened(const std::string& text) {
  if (text.size() <= kLongestText) return json::string(text);
  const std::string shown(utf8_prefix(text, kLongestText));
  return json::string(shown + "… (" + std::to_string(text.size() - shown.size()) + " bytes more)");
}

json::object record_json(const CompletionRecord& record, std::string_view which) {
  json::array rewards;
  for (const NamedReward& reward : record.rewards)
    rewards.push_back(json::object{{"name", reward.name}, {"value", number_or_null(reward.value)}});
  return {{"which", which},
          {"prompt", shortened(record.prompt)},
          {"completion", shortened(record.completion)},
          {"reference", shortened(record.reference)},
          {"rewards", std::move(rewards)},
          {"reward", number_or_null(record.reward)},
          {"advantage", number_or_null(record.advantage)},
          {"num_tokens", record.num_tokens},
          {"finish_reason", record.finish_reason == FinishReason::stop ? "stop" : "length"}};
}

// Where each group of a step begins, and the end: completions of one prompt stand together.
std::vector<std::size_t> group_bounds(const std::vector<CompletionRecord>& records) {
  std::vector<std::size_t> bounds;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (i == 0 || records[i].prompt != records[i - 1].prompt) bounds.push_back(i);
  }
  bounds.push_back(records.size());
  return bounds;
}

// Of some prompts of the step, the completions with the highest, the median and the lowest reward.
json::object completions_json(std::int64_t step, const std::vector<CompletionRecord>& records) {
  const std::vector<std::size_t> bounds = group_bounds(records);
  const std::size_t groups = bounds.size() - 1;
  const std::size_t shown = std::min(groups, kPromptsShown);
  json::array chosen;
  for (std::size_t k = 0; k < shown; ++k) {
    const std::size_t g = shown == 1 ? 0 : k * (groups - 1) / (shown - 1);
    std::vector<std::size_t> order;
    for (std::size_t i = bounds[g]; i < bounds[g + 1]; ++i) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return records[a].reward > records[b].reward;
    });
    chosen.push_back(record_json(records[order.front()], "highest"));
    if (order.size() > 2) chosen.push_back(record_json(records[order[order.size() / 2]], "median"));
    if (order.size() > 1) chosen.push_back(record_json(records[order.back()], "lowest"));
  }
  return {{"step", step},
          {"completions", records.size()},
          {"prompts", groups},
          {"records", std::move(chosen)}};
}

}  // namespace

json::array completions_of(const fs::path& directory) {
  const std::vector<std::int64_t> steps = completion_steps(directory);
  json::array parts;
  std::set<std::size_t> chosen;
  if (!steps.empty()) chosen = {0, steps.size() / 2, steps.size() - 1};
  for (const std::size_t i : chosen) {
    parts.push_back(
        completions_json(steps[i], read_completions(completions_file(directory, steps[i]))));
  }
  return parts;
}

}  // namespace zeroth
