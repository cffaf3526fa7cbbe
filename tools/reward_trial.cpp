// zeroth reward test: batteries that a reward goes through before a run.

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "rewards/host/plugin_host.h"
#include "rewards/host/program_host.h"
#include "rewards/host/script_host.h"
#include "system/error.h"
#include "tools/commands.h"
#include "tools/named_rewards.h"
#include "tools/options.h"
#include "tools/printable.h"
#include "tools/reward_batteries.h"
#include "tools/reward_commands.h"
#include "tools/reward_options.h"
#include "tools/score_rows.h"
#include "tools/trial_items.h"

namespace zeroth {
namespace {

constexpr std::size_t kMostShort = 200'000;  // bytes of what goes through every battery
constexpr std::size_t kMostRows = 256;       // of those, from the items
constexpr double kMostOfTime = 0.5;          // of reward_timeout, that a completion may take

// Where the reward has a file, what lies beside it.
std::string default_items(const std::string& word) {
  if (!names_plugin(word) && !names_script(word) && !names_program(word)) return "";
  std::string file = word.substr(word.find(':') + 1);
  if (word.starts_with("python:")) file = file.substr(0, file.rfind(':'));
  file = file.substr(0, file.find(' '));
  const auto items = std::filesystem::path(file).parent_path() / "items.jsonl";
  return std::filesystem::exists(items) ? items.string() : "";
}

// For a reward without items.
ScoreRow plain_row() {
  ScoreRow row;
  row.prompt = "What is 7 + 5?";
  row.completion = "<think>7 + 5 is 12.</think><answer>12</answer>";
  row.reference = "12";
  row.num_tokens = 12;
  row.max_tokens = 64;
  return row;
}

// What completions of every kind are like, where the reward survives them.
std::vector<RewardItem> short_items(const std::vector<ScoreRow>& rows,
                                    const std::vector<HostileCase>& cases,
                                    const std::vector<Finding>& findings) {
  std::vector<RewardItem> items;
  for (const ScoreRow& row : rows)
    if (items.size() < kMostRows) items.push_back(row.item());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const ScoreRow& row = cases[i].row;
    const std::size_t size = row.completion.size() + row.columns_json.size();
    if (findings[i].found.empty() && size < kMostShort) items.push_back(row.item());
  }
  return items;
}

void print_battery(const std::string& name, const std::vector<Finding>& findings) {
  const auto passed = std::count_if(findings.begin(), findings.end(),
                                    [](const Finding& finding) { return finding.passed; });
  std::cout << name << std::string(14 - name.size(), ' ') << passed << " of " << findings.size()
            << "\n";
  for (const Finding& finding : findings) {
    if (finding.found.empty()) continue;
    std::cout << (finding.passed ? "  note    " : "  FAILED  ") << finding.what << "\n          "
              << printable(finding.found, "") << "\n";
    if (!finding.in_a_run.empty()) std::cout << "          a run " << finding.in_a_run << "\n";
  }
}

// A completion that takes this long alone hangs on a busy machine.
std::vector<Finding> time_findings(const std::vector<Finding>& hostile, double timeout) {
  std::vector<Finding> findings;
  const Finding* slowest = nullptr;
  for (const Finding& finding : hostile)
    if (finding.passed && (slowest == nullptr || finding.seconds > slowest->seconds))
      slowest = &finding;
  if (slowest == nullptr) return findings;
  Finding finding{.what = "the slowest: " + slowest->what};
  std::ostringstream took;
  took << std::fixed << std::setprecision(1) << slowest->seconds * 1e3 << " ms a completion";
  finding.passed = slowest->seconds < kMostOfTime * timeout;
  finding.found = took.str();
  if (!finding.passed)
    finding.in_a_run = "ends the process where a call takes longer than reward_timeout";
  findings.push_back(std::move(finding));
  return findings;
}

bool all_passed(const std::vector<Finding>& findings) {
  return std::all_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.passed; });
}

int test(const RewardTestConfig& config) {
  const std::vector<std::string> words = {config.reward};
  const WeightedRewards rewards = named_rewards(words, {}, config);
  const WeightedRewards others = named_rewards(words, {}, config);
  const Reward& reward = rewards.reward(0);
  const RewardErrorPolicy on_error =
      parse_reward_error_policy(config.reward_on_error, "configuration", "reward_on_error");
  const std::string file = config.items.empty() ? default_items(config.reward) : config.items;
  const std::vector<ScoreRow> rows =
      file.empty() ? std::vector<ScoreRow>{plain_row()} : read_score_rows(file);
  std::vector<RewardItem> items;
  for (const ScoreRow& row : rows) items.push_back(row.item());
  const std::string isolation = isolation_of(rewards, words);
  std::cout << (isolation.empty() ? config.reward : isolation) << "\n";
  if (file.empty())
    std::cout << "no items: a made-up one; --items has yours\n\n";
  else
    std::cout << file << ": " << rows.size() << " completions\n\n";
  rewards.try_on(trial_items(items));

  const auto golden = golden_findings(reward, rows, on_error);
  print_battery("golden", golden);
  const auto cases = hostile_cases(rows[0]);
  const auto hostile = hostile_findings(reward, cases, on_error);
  print_battery("adversarial", hostile);
  const auto purity = purity_findings(reward, others.reward(0), short_items(rows, cases, hostile));
  print_battery("purity", purity);
  const auto timed = time_findings(hostile, config.reward_timeout);
  print_battery("timing", timed);
  const Timing timing = time_reward(reward, items);
  std::cout << std::fixed << std::setprecision(1) << "  of the items: " << timing.together
            << " us a completion in calls of 64; alone p50 " << timing.p50 << " us, p99 "
            << timing.p99 << " us\n";
  const bool passed =
      all_passed(golden) && all_passed(hostile) && all_passed(purity) && all_passed(timed);
  std::cout << (passed ? "\npassed\n" : "\nfailed\n");
  return passed ? kExitDone : kExitFailed;
}

}  // namespace

int run_reward_test(int argc, char** argv) {
  RewardTestConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "reward test",
                                           .summary = "batteries for a reward before a run",
                                           .positional = "reward"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  if (options.dry_run) {
    named_rewards({config.reward}, {}, config);
    std::cout << "would test " << config.reward << "\n";
    return kExitDone;
  }
  return test(config);
}

}  // namespace zeroth
