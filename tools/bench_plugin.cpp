// zeroth bench plugin: completions a second through a reward of one's own, at each level of the
// sandbox, and what starting and ending its process costs.

#include <boost/json.hpp>
#include <cstdio>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rewards/registry.h"
#include "system/error.h"
#include "system/json.h"
#include "system/sandbox.h"
#include "tools/bench.h"
#include "tools/clock.h"
#include "tools/commands.h"

namespace zeroth {
namespace {

constexpr std::size_t kCall = 100;        // completions of a call: a group
constexpr std::size_t kCompletion = 512;  // bytes of one
constexpr double kSeconds = 0.25;         // of calls in a turn, at least
constexpr int kTurns = 3;                 // of which the median counts
constexpr const char* kColumns = R"({"level": 3, "topic": "sums"})";

struct PluginRates {
  std::string level;
  double per_second = 0;     // completions
  double start_seconds = 0;  // and end, of a process
};

std::string completion_of(std::size_t size) {
  const std::string head = "<think>", tail = "</think><answer>42</answer>";
  return head + std::string(size - head.size() - tail.size(), 'x') + tail;
}

double rate_of(const Reward& reward, std::span<const RewardItem> items) {
  const double begin = monotonic_seconds();
  double done = 0, seconds = 0;
  do {
    reward.judge(items, OnRewardError::exclude);
    done += static_cast<double>(items.size());
    seconds = monotonic_seconds() - begin;
  } while (seconds < kSeconds);
  return done / seconds;
}

RewardOptions at_level(const BenchConfig& config, Isolation level) {
  RewardOptions options;
  options.host.python = config.python;
  options.host.sandbox = level;
  options.host.sandbox_min = Isolation::none;
  return options;
}

/// Nothing where this machine does not reach the level.
std::optional<PluginRates> measure(const BenchConfig& config, Isolation level,
                                   std::span<const RewardItem> items) {
  std::vector<double> rates, starts;
  for (int turn = 0; turn < kTurns; ++turn) {
    double begin = monotonic_seconds();
    auto reward = make_reward(config.plugin, at_level(config, level));
    double started = monotonic_seconds() - begin;
    if (reward->isolation() != level) return std::nullopt;
    rates.push_back(rate_of(*reward, items));
    begin = monotonic_seconds();
    reward.reset();
    started += monotonic_seconds() - begin;
    starts.push_back(started);
  }
  return PluginRates{.level = std::string(isolation_name(level)),
                     .per_second = median(std::move(rates)),
                     .start_seconds = median(std::move(starts))};
}

}  // namespace

int bench_plugin(const BenchConfig& config) {
  if (!make_reward(config.plugin, at_level(config, Isolation::none))->isolation()) {
    throw InputError(
        {.source = "bench",
         .field = "plugin",
         .expected = "a reward of one's own: FILE.so, python:FILE:FUNCTION or exec:FILE",
         .actual = config.plugin});
  }
  const std::string completion = completion_of(kCompletion);
  const std::vector<RewardItem> items(kCall, RewardItem{.prompt = "What is 40 + 2?",
                                                        .completion = completion,
                                                        .reference = "42",
                                                        .columns_json = kColumns,
                                                        .num_tokens = 150,
                                                        .max_tokens = 200});
  boost::json::array rows;
  if (!config.json) {
    std::printf("one process, calls of %zu completions of %zu bytes with columns, medians of %d\n",
                kCall, kCompletion, kTurns);
    std::printf("%-10s %16s %14s %16s\n", "sandbox", "completions/s", "us each",
                "start and end ms");
  }
  for (const Isolation level :
       {Isolation::none, Isolation::limits, Isolation::seccomp, Isolation::full}) {
    const auto rates = measure(config, level, items);
    if (!rates) {
      if (!config.json)
        std::printf("%-10s not reached on this machine\n",
                    std::string(isolation_name(level)).c_str());
      continue;
    }
    rows.push_back({{"sandbox", rates->level},
                    {"completions_per_second", rates->per_second},
                    {"start_seconds", rates->start_seconds}});
    if (config.json) continue;
    std::printf("%-10s %16.0f %14.2f %16.1f\n", rates->level.c_str(), rates->per_second,
                1e6 / rates->per_second, 1e3 * rates->start_seconds);
    std::fflush(stdout);
  }
  if (config.json)
    std::cout << write_json(boost::json::object{{"levels", std::move(rows)}}) << "\n";
  return kExitDone;
}

}  // namespace zeroth
