#include "tools/reward_batteries.h"

#include <algorithm>
#include <bit>
#include <boost/json/object.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>

#include "system/json.h"

namespace zeroth {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr double kTolerance = 1e-9;
constexpr std::size_t kLarge = 10'000'000;  // bytes
constexpr std::size_t kMostNamed = 3;       // items that differ, in a finding
constexpr std::size_t kCall = 64;
constexpr auto kTimed = std::chrono::seconds(1);
constexpr std::size_t kLeastRounds = 3, kMostRounds = 500;

std::string text_of(const RewardOutcome& outcome) {
  if (outcome.result == RewardResult::scored) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", outcome.score);
    return text;
  }
  if (outcome.result == RewardResult::not_applicable) return "no score";
  return std::string(result_name(outcome.result)) + ": " + outcome.message;
}

bool is_same(const RewardOutcome& a, const RewardOutcome& b) {
  return a.result == b.result &&
         (a.result != RewardResult::scored ||
          std::bit_cast<std::uint64_t>(a.score) == std::bit_cast<std::uint64_t>(b.score));
}

bool is_close(const RewardOutcome& expected, const RewardOutcome& got) {
  if (expected.result != RewardResult::scored || got.result != RewardResult::scored)
    return expected.result == got.result;
  return std::abs(expected.score - got.score) <=
         kTolerance * std::max(1.0, std::abs(expected.score));
}

std::string repeated(std::string_view text, std::size_t size) {
  std::string all;
  all.reserve(size + text.size());
  while (all.size() < size) all += text;
  return all;
}

using Outcomes = std::vector<RewardOutcome>;

Outcomes judged(const Reward& reward, std::span<const RewardItem> items) {
  return reward.judge(items, OnRewardError::exclude);
}

Outcomes judged_in_calls(const Reward& reward, std::span<const RewardItem> items,
                         std::size_t size) {
  Outcomes all;
  for (std::size_t first = 0; first < items.size(); first += size) {
    const auto some = items.subspan(first, std::min(size, items.size() - first));
    for (RewardOutcome& outcome : judged(reward, some)) all.push_back(std::move(outcome));
  }
  return all;
}

Outcomes judged_in_reverse(const Reward& reward, std::span<const RewardItem> items) {
  const std::vector<RewardItem> reversed(items.rbegin(), items.rend());
  Outcomes outcomes = judged(reward, reversed);
  std::reverse(outcomes.begin(), outcomes.end());
  return outcomes;
}

Finding comparison(std::string what, const Outcomes& first, const Outcomes& then) {
  Finding finding{.what = std::move(what)};
  std::size_t different = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (is_same(first[i], then[i])) continue;
    if (different++ < kMostNamed)
      finding.found += (finding.found.empty() ? "completion " : "; completion ") +
                       std::to_string(i + 1) + " got " + text_of(first[i]) + ", then " +
                       text_of(then[i]);
  }
  if (different == 0) return finding;
  finding.passed = false;
  if (different > kMostNamed)
    finding.found +=
        "; " + std::to_string(different) + " of " + std::to_string(first.size()) + " differ";
  finding.in_a_run =
      "goes on, and is repeated by no other: scores must depend on the completion, "
      "its record and the parameters alone";
  return finding;
}

template <class Action>
double microseconds_of(const Action& action) {
  const auto start = Clock::now();
  action();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

}  // namespace

std::string in_a_run(const RewardOutcome& outcome, const RewardErrorPolicy& on_error) {
  if (!is_failure(outcome.result)) return "trains on the score that it gets";
  switch (on_error.action) {
    case OnRewardError::stop:
      return "stops here, as reward_on_error is stop";
    case OnRewardError::exclude:
      return "goes on without the completion, as reward_on_error is exclude";
    case OnRewardError::score:
      return "goes on and gives it " + reward_error_policy_name(on_error) +
             ", as reward_on_error says";
  }
  throw std::invalid_argument("in_a_run: no policy");
}

std::vector<Finding> golden_findings(const Reward& reward, std::span<const ScoreRow> rows,
                                     const RewardErrorPolicy& on_error) {
  std::vector<Finding> findings;
  std::vector<RewardItem> items;
  for (const ScoreRow& row : rows)
    if (row.expected) items.push_back(row.item());
  const Outcomes outcomes = judged(reward, items);
  std::size_t at = 0;
  for (const ScoreRow& row : rows) {
    if (!row.expected) continue;
    const RewardOutcome& outcome = outcomes[at++];
    Finding finding{.what = "line " + std::to_string(row.line)};
    finding.passed = is_close(*row.expected, outcome);
    if (!finding.passed) {
      finding.found = "expected " + text_of(*row.expected) + ", got " + text_of(outcome) + " for " +
                      quoted_start(row.completion);
      finding.in_a_run = in_a_run(outcome, on_error);
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

std::vector<HostileCase> hostile_cases(const ScoreRow& row) {
  std::vector<HostileCase> cases;
  const auto completion = [&](std::string what, std::string text) -> ScoreRow& {
    cases.push_back({.what = std::move(what), .row = row});
    cases.back().row.completion = std::move(text);
    return cases.back().row;
  };
  completion("an empty completion", "");
  completion("white space alone", " \n\t\r\n ");
  completion("NUL bytes", std::string("a\0b\0", 4) + row.completion);
  completion("bytes that are no UTF-8", "\xff\xfe\xc3(\xed\xa0\x80" + row.completion);
  completion("text from right to left", "\u202E" + row.completion + "\u202C \u05D0\u05D1 \u0663");
  completion("combining marks and emoji",
             repeated("e\u0301\u0308\U0001F468\u200D\U0001F469", 4000));
  completion("tags that do not close", repeated("<think><answer>", 15000));
  completion("tags that do not open", repeated("</answer></think>", 15000));
  completion("10,000 nested braces", std::string(10000, '{') + std::string(10000, '}'));
  completion("10,000 open brackets", repeated("\\frac{(", 70000));
  completion("a tower of powers", "\\boxed{9^{9^{9^{9^{9}}}}}");
  completion("100,000 digits", std::string(100000, '9'));
  completion("100,000 backslashes", std::string(100000, '\\'));
  completion("quotes, commas and JSON", R"({"score": 1}, "\", ']}\n{"error": "x"})");
  completion("10 MB of one letter", std::string(kLarge, 'a'));
  completion("10 MB of answers", repeated("The answer is \\boxed{42}. ", kLarge));
  ScoreRow& cut = completion("cut at the limit", row.completion);
  cut.finish_reason = FinishReason::length;
  cut.num_tokens = cut.max_tokens = 1;
  const std::size_t of_model = cases.size();
  completion("an empty reference", row.completion).reference = "";
  completion("a reference of 100 kB", row.completion).reference = std::string(100000, '1');
  completion("a column of 1 MB", row.completion).columns_json =
      write_json(json::object{{"column", std::string(1'000'000, 'c')}});
  completion("a record without columns", row.completion).columns_json = "{}";
  for (std::size_t i = of_model; i < cases.size(); ++i) cases[i].is_of_data = true;
  return cases;
}

std::vector<Finding> hostile_findings(const Reward& reward, std::span<const HostileCase> cases,
                                      const RewardErrorPolicy& on_error) {
  std::vector<Finding> findings;
  for (const HostileCase& one : cases) {
    const RewardItem twice[] = {one.row.item(), one.row.item()};
    const auto start = Clock::now();
    const Outcomes outcomes = judged(reward, twice);
    const std::chrono::duration<double> spent = Clock::now() - start;
    Finding finding = comparison(one.what, {outcomes[0]}, {outcomes[1]});
    if (is_failure(outcomes[0].result)) {
      finding.passed = one.is_of_data && outcomes[0].result == RewardResult::raised;
      finding.found = text_of(outcomes[0]);
      finding.in_a_run = in_a_run(outcomes[0], on_error);
    }
    finding.seconds = spent.count() / 2;
    findings.push_back(std::move(finding));
  }
  return findings;
}

std::vector<Finding> purity_findings(const Reward& reward, const Reward& another,
                                     std::span<const RewardItem> items) {
  const Outcomes first = judged(reward, items);
  std::vector<Finding> findings;
  findings.push_back(comparison("asked again", first, judged(reward, items)));
  findings.push_back(comparison("in the reverse order", first, judged_in_reverse(reward, items)));
  for (const std::size_t size : {1, 2, 7})
    findings.push_back(comparison("in calls of " + std::to_string(size), first,
                                  judged_in_calls(reward, items, size)));
  findings.push_back(comparison("in another process", first, judged(another, items)));
  return findings;
}

Timing time_reward(const Reward& reward, std::span<const RewardItem> items) {
  std::vector<RewardItem> call;
  for (std::size_t i = 0; i < kCall; ++i) call.push_back(items[i % items.size()]);
  std::vector<double> together, alone;
  const auto end = Clock::now() + kTimed;
  while (together.size() < kLeastRounds || (together.size() < kMostRounds && Clock::now() < end)) {
    together.push_back(microseconds_of([&] { judged(reward, call); }) / kCall);
    for (std::size_t i = 0; i < items.size(); ++i)
      alone.push_back(microseconds_of([&] { judged(reward, items.subspan(i, 1)); }));
  }
  std::sort(alone.begin(), alone.end());
  return {.together = *std::min_element(together.begin(), together.end()),
          .p50 = alone[alone.size() / 2],
          .p99 = alone[alone.size() * 99 / 100]};
}

}  // namespace zeroth
