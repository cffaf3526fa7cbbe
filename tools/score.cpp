// zeroth score: rewards of completions that stand in a JSONL file, such as a run's
// completions/step-000040.jsonl.

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/registry.h"
#include "rewards/weighted_sum.h"
#include "rl/config.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/explain_answers.h"
#include "tools/named_rewards.h"
#include "tools/options.h"
#include "tools/score_cases.h"
#include "tools/score_rows.h"
#include "tools/summary.h"
#include "tools/trial_items.h"

namespace zeroth {
namespace {

constexpr std::int64_t kHistogramBins = 10;
constexpr std::int64_t kHistogramWidth = 40;  // characters of the fullest bin

// The scores among values, some of which may be none.
std::vector<double> given(const std::vector<double>& values) {
  std::vector<double> scores;
  for (const double value : values) {
    if (!std::isnan(value)) scores.push_back(value);
  }
  return scores;
}

// Null where nothing was scored.
boost::json::value to_json(const std::vector<double>& values) {
  const std::vector<double> scores = given(values);
  if (scores.empty()) return nullptr;
  const Summary summary = summarize(scores);
  return boost::json::object{{"mean", summary.mean},
                             {"std", summary.std},
                             {"min", summary.min},
                             {"max", summary.max},
                             {"scored", scores.size()}};
}

// How often a reward failed in one way, and on which item first.
struct FailureCount {
  std::size_t count = 0;
  const RewardFailure* first = nullptr;
};
std::map<RewardResult, FailureCount> failures_of(const ScoredItems& scores, std::size_t reward) {
  std::map<RewardResult, FailureCount> counts;
  for (const RewardFailure& failure : scores.failures) {
    if (failure.reward != reward) continue;
    FailureCount& count = counts[failure.result];
    if (count.count++ == 0) count.first = &failure;
  }
  return counts;
}

void print_json(const ScoreConfig& config, const WeightedRewards& rewards,
                const std::vector<ScoreRow>& rows, const ScoredItems& scores) {
  boost::json::array by_reward;
  for (std::size_t r = 0; r < rewards.names().size(); ++r) {
    boost::json::object entry{{"name", rewards.names()[r]}, {"weight", rewards.weights()[r]}};
    const boost::json::value summary = to_json(scores.by_reward[r]);
    if (summary.is_object()) {
      for (const auto& [key, value] : summary.as_object()) entry[key] = value;
    }
    boost::json::object failures;
    for (const auto& [result, failure] : failures_of(scores, r)) {
      failures[result_name(result)] = {{"count", failure.count},
                                       {"line", rows[failure.first->item].line},
                                       {"message", boost::json::string(failure.first->message)}};
    }
    if (!failures.empty()) entry["failures"] = std::move(failures);
    by_reward.push_back(std::move(entry));
  }
  boost::json::value total = to_json(scores.total);
  if (total.is_object()) {
    boost::json::array bins;
    for (const HistogramBin& bin : histogram(given(scores.total), kHistogramBins)) {
      bins.push_back({{"from", bin.from}, {"to", bin.to}, {"count", bin.count}});
    }
    total.as_object()["histogram"] = std::move(bins);
  }
  const boost::json::object result = {{"dataset_name", config.dataset_name},
                                      {"completions", scores.total.size()},
                                      {"rewards", std::move(by_reward)},
                                      {"total", std::move(total)}};
  std::cout << write_json(result) << "\n";
}

void print_table_row(std::string_view name, const std::vector<double>& values) {
  const std::vector<double> scores = given(values);
  if (scores.empty()) {
    std::printf("%-24.*s no score\n", static_cast<int>(name.size()), name.data());
    return;
  }
  const Summary summary = summarize(scores);
  std::printf("%-24.*s %10.4f %10.4f %10.4f %10.4f", static_cast<int>(name.size()), name.data(),
              summary.mean, summary.std, summary.min, summary.max);
  if (scores.size() < values.size()) std::printf("  of %zu of %zu", scores.size(), values.size());
  std::printf("\n");
}

void print_failures(const WeightedRewards& rewards, const std::vector<ScoreRow>& rows,
                    const ScoredItems& scores) {
  if (scores.failures.empty()) return;
  std::printf("\nfailures\n");
  for (std::size_t r = 0; r < rewards.names().size(); ++r) {
    for (const auto& [result, failure] : failures_of(scores, r)) {
      std::printf("%-24s %8zu %-12s first in line %zu: %s\n",
                  std::string(rewards.names()[r]).c_str(), failure.count,
                  std::string(result_name(result)).c_str(), rows[failure.first->item].line,
                  failure.first->message.c_str());
    }
  }
}

void print_table(const ScoreConfig& config, const WeightedRewards& rewards,
                 const std::vector<ScoreRow>& rows, const ScoredItems& scores) {
  std::printf("%s: %zu completions\n\n", config.dataset_name.c_str(), scores.total.size());
  std::printf("%-24s %10s %10s %10s %10s\n", "reward", "mean", "std", "min", "max");
  for (std::size_t i = 0; i < rewards.names().size(); ++i) {
    print_table_row(rewards.names()[i], scores.by_reward[i]);
  }
  print_table_row("weighted sum", scores.total);
  print_failures(rewards, rows, scores);

  const std::vector<double> totals = given(scores.total);
  if (totals.empty()) return;
  const std::vector<HistogramBin> bins = histogram(totals, kHistogramBins);
  std::int64_t most = 1;
  for (const HistogramBin& bin : bins) most = std::max(most, bin.count);
  std::printf("\nweighted sum, from … to\n");
  for (const HistogramBin& bin : bins) {
    const auto length = static_cast<std::size_t>(bin.count * kHistogramWidth / most);
    std::printf("%9.4f %9.4f %8lld %s\n", bin.from, bin.to, static_cast<long long>(bin.count),
                std::string(length, '#').c_str());
  }
}

// `error` with the line that it came up in.
RewardError in_file(const RewardError& error, const std::vector<ScoreRow>& rows,
                    const std::string& file) {
  return {error.reward(), error.item(), error.outcome(),
          file + ":" + std::to_string(rows[error.item()].line)};
}

void check_rows(const WeightedRewards& rewards, const std::vector<ScoreRow>& rows,
                const std::string& file) {
  std::vector<std::string_view> references;
  std::vector<std::string> places;
  for (const ScoreRow& row : rows) {
    references.push_back(row.reference);
    places.push_back(file + ":" + std::to_string(row.line));
  }
  for (std::size_t i = 0; i < rewards.names().size(); ++i)
    check_references(rewards.reward(i), references, places);
}

int explain_file(const ScoreConfig& config) {
  const std::vector<ScoreRow> rows = read_score_rows(config.dataset_name);
  std::vector<AnswerToExplain> answers;
  for (const ScoreRow& row : rows) {
    const bool enough = config.num_explained > 0 &&
                        answers.size() == static_cast<std::size_t>(config.num_explained);
    if (enough) break;
    answers.push_back({.completion = row.completion, .reference = row.reference, .line = row.line});
  }
  explain_answers(answers, parse_extraction(config.answer_rules), config.json);
  return kExitDone;
}

}  // namespace

int run_score(int argc, char** argv) {
  ScoreConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "score",
                                           .summary = "reward the completions of a JSONL file",
                                           .positional = "dataset_name"});
  if (!options.help.empty()) {
    std::cout << options.help << "\nrewards:\n";
    for (const RewardEntry& entry : reward_entries()) {
      std::cout << "  " << entry.name << ": " << entry.description << "\n";
    }
    return kExitDone;
  }
  if (!config.cases.empty()) return score_cases(config.cases, config.json);
  if (config.explain) return explain_file(config);
  const WeightedRewards rewards = named_rewards(config.reward_funcs, config.reward_weights, config);
  const std::string isolation = isolation_of(rewards, config.reward_funcs);
  if (!isolation.empty()) std::cerr << "rewards in processes: " << isolation << "\n";
  const std::vector<ScoreRow> rows = read_score_rows(config.dataset_name);
  if (options.dry_run) {
    std::cout << "would score " << rows.size() << " completions\n";
    return kExitDone;
  }
  std::vector<RewardItem> items;
  for (const ScoreRow& row : rows) items.push_back(row.item());
  rewards.try_on(trial_items(items));
  check_rows(rewards, rows, config.dataset_name);
  const ScoredItems scores = [&] {
    try {
      return rewards.score(items);
    } catch (const RewardError& error) {
      throw in_file(error, rows, config.dataset_name);
    }
  }();
  if (config.json) {
    print_json(config, rewards, rows, scores);
  } else {
    print_table(config, rewards, rows, scores);
  }
  return kExitDone;
}

}  // namespace zeroth
