#include "tools/named_rewards.h"

#include <algorithm>
#include <utility>

#include "rewards/host/hosted_reward.h"
#include "system/error.h"
#include "tools/reward_config.h"
#include "tools/trial_items.h"

namespace zeroth {
namespace {

// What the problems are to a reward before a run; looks into them.
struct Trial {
  explicit Trial(std::span<const Problem> problems) {
    std::vector<RewardItem> all;
    for (const Problem& problem : problems) {
      all.push_back({.prompt = problem.prompt.empty() ? problem.question : problem.prompt,
                     .completion = problem.answer,
                     .reference = problem.answer,
                     .columns_json = problem.columns_json,
                     .num_tokens = 1,
                     .max_tokens = 1});
      references.push_back(problem.answer);
      places.push_back("problem " + problem.id);
    }
    items = trial_items(all);
  }

  void try_on(const Reward& reward) const {
    reward.try_on(items);
    check_references(reward, references, places);
  }

  std::vector<RewardItem> items;
  std::vector<std::string_view> references;
  std::vector<std::string> places;
};

// A file that was not asked for is no file.
std::vector<std::string> without_empty(std::vector<std::string> paths) {
  std::erase(paths, "");
  return paths;
}

}  // namespace

std::vector<std::unique_ptr<Reward>> make_rewards(const std::vector<std::string>& names,
                                                  const NamedRewardOptions& host,
                                                  std::function<void()> check_stop,
                                                  const std::vector<std::string>& hidden) {
  RewardOptions options{.extraction = parse_extraction(host.answer_rules),
                        .host = {.python = host.reward_python,
                                 .timeout = host.reward_timeout,
                                 .memory = host.reward_memory,
                                 .workers = host.reward_workers,
                                 .sandbox = parse_isolation(host.sandbox),
                                 .sandbox_min = parse_isolation(host.sandbox_min),
                                 .readable = host.sandbox_paths,
                                 .hidden = without_empty(hidden),
                                 .check_stop = std::move(check_stop)}};
  const std::string config = read_reward_config(host.reward_config);
  check_reward_words(config, names);
  std::vector<std::unique_ptr<Reward>> rewards;
  for (const std::string& name : names) {
    options.parameters = parameters_of(config, name);
    rewards.push_back(make_reward(name, options));
  }
  return rewards;
}

WeightedRewards named_rewards(const std::vector<std::string>& names,
                              const std::vector<double>& weights, const NamedRewardOptions& host,
                              std::function<void()> check_stop,
                              const std::vector<std::string>& hidden) {
  return WeightedRewards(
      make_rewards(names, host, std::move(check_stop), hidden), weights,
      parse_reward_error_policy(host.reward_on_error, "configuration", "reward_on_error"));
}

void check_references(const Reward& reward, std::span<const std::string_view> references,
                      std::span<const std::string> places) {
  std::size_t wrong = 0, first = 0;
  std::string expected;
  for (std::size_t i = 0; i < references.size(); ++i) {
    std::string wanted = reward.wanted_instead_of(references[i]);
    if (wanted.empty()) continue;
    if (wrong++ > 0) continue;
    first = i;
    expected = std::move(wanted);
  }
  if (wrong == 0) return;
  std::string actual = quoted_start(references[first]);
  if (wrong > 1) {
    actual += "; " + std::to_string(wrong) + " of " + std::to_string(references.size()) +
              " have such a one";
  }
  throw InputError({.source = places[first],
                    .field = "reference answer (for " + std::string(reward.name()) + ")",
                    .expected = std::move(expected),
                    .actual = std::move(actual)});
}

void try_on(const WeightedRewards& rewards, std::span<const Problem> problems) {
  const Trial trial(problems);
  for (std::size_t i = 0; i < rewards.names().size(); ++i) trial.try_on(rewards.reward(i));
}

void try_on(const Reward& reward, std::span<const Problem> problems) {
  Trial(problems).try_on(reward);
}

std::vector<std::string> reward_identities(const WeightedRewards& rewards,
                                           const std::vector<std::string>& words,
                                           const NamedRewardOptions& options) {
  const std::string config = read_reward_config(options.reward_config);
  std::vector<std::string> identities;
  for (const std::string_view name : rewards.names()) {
    std::string identity(name);
    const std::string parameters = parameters_of(config, words.at(identities.size()));
    if (parameters != "{}") identity += " with " + parameters;
    if (const auto* hosted = dynamic_cast<const HostedReward*>(&rewards.reward(identities.size())))
      identity += " of sha256 " + std::string(hosted->file_sha256());
    else if (options.answer_rules != NamedRewardOptions{}.answer_rules)
      identity += " by " + options.answer_rules;
    identities.push_back(std::move(identity));
  }
  return identities;
}

std::string isolation_of(const Reward& reward, const std::string& name) {
  const auto* hosted = dynamic_cast<const HostedReward*>(&reward);
  if (hosted == nullptr) return "";
  std::string text = std::string(hosted->name()) + " (" + name + ", " +
                     std::string(isolation_name(*hosted->isolation()));
  if (!hosted->isolation_reason().empty())
    text += "; refused here is " + std::string(hosted->isolation_reason());
  return text + ")";
}

std::string isolation_of(const WeightedRewards& rewards, const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string one = isolation_of(rewards.reward(i), names[i]);
    if (!one.empty()) text += (text.empty() ? "" : ", ") + one;
  }
  return text;
}

}  // namespace zeroth
