#include "tools/reward_batteries.h"

#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <string>

#include "system/utf8.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;
using Judge = std::function<std::vector<RewardOutcome>(std::span<const RewardItem>)>;

class Fake final : public Reward {
 public:
  explicit Fake(Judge judge) : judge_(std::move(judge)) {}
  std::string_view name() const override { return "fake"; }
  std::vector<double> score(std::span<const RewardItem>) const override { return {}; }
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError) const override {
    return judge_(items);
  }

 private:
  Judge judge_;
};

// One that looks at each item alone.
Fake of_each(std::function<RewardOutcome(const RewardItem&)> outcome_of) {
  return Fake([outcome_of](std::span<const RewardItem> items) {
    std::vector<RewardOutcome> outcomes;
    for (const RewardItem& item : items) outcomes.push_back(outcome_of(item));
    return outcomes;
  });
}

RewardOutcome size_of(const RewardItem& item) {
  return outcome_of_score(static_cast<double>(item.completion.size()));
}

ScoreRow row(const std::string& completion, RewardOutcome expected, std::size_t line) {
  ScoreRow made;
  made.completion = completion;
  made.expected = std::move(expected);
  made.line = line;
  return made;
}

// "asked again, in calls of 1": what did not pass.
std::string failed(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings)
    if (!finding.passed) text += (text.empty() ? "" : ", ") + finding.what;
  return text;
}

TEST_CASE("reward batteries: golden rows get their score, or it is said what they got", "[tools]") {
  const Fake reward = of_each([](const RewardItem& item) -> RewardOutcome {
    if (item.completion == "none") return {.result = RewardResult::not_applicable};
    if (item.completion == "raise") return {.result = RewardResult::raised, .message = "why"};
    return size_of(item);
  });
  ScoreRow unjudged = row("", {}, 9);
  unjudged.expected.reset();
  const ScoreRow rows[] = {row("abc", outcome_of_score(3.0), 1),
                           row("abc", outcome_of_score(3.0 + 1e-12), 2),
                           row("abc", outcome_of_score(3.0001), 3),
                           unjudged,
                           row("none", {.result = RewardResult::not_applicable}, 5),
                           row("none", outcome_of_score(0.0), 6),
                           row("raise", outcome_of_score(5.0), 7),
                           row("abc", {.result = RewardResult::not_applicable}, 8)};
  const auto findings = golden_findings(reward, rows, {});
  CHECK(findings.size() == 7);
  CHECK(failed(findings) == "line 3, line 6, line 7, line 8");
  CHECK(findings[2].found == "expected 3.0001000000000002, got 3 for \"abc\"");
  CHECK(findings[2].in_a_run == "trains on the score that it gets");
  CHECK(findings[4].found == "expected 0, got no score for \"none\"");
  CHECK(findings[5].found == "expected 5, got raised: why for \"raise\"");
  CHECK(findings[5].in_a_run == "stops here, as reward_on_error is stop");
}

TEST_CASE("reward batteries: hostile cases are what they are called", "[tools]") {
  const auto cases = hostile_cases(row("It is 12.", {}, 1));
  std::set<std::string> names;
  std::size_t largest = 0, broken = 0;
  for (const HostileCase& one : cases) {
    names.insert(one.what);
    const std::string& text = one.row.completion;
    largest = std::max(largest, text.size());
    std::string_view rest = text;
    for (std::size_t size; (size = utf8_bytes(rest)) > 0;) rest.remove_prefix(size);
    broken += rest.empty() ? 0U : 1U;
    if (one.what == "NUL bytes") CHECK(text.find('\0') != std::string::npos);
  }
  CHECK(names.size() == cases.size());
  CHECK(largest >= 10'000'000);
  CHECK(broken == 1);
}

TEST_CASE("reward batteries: hostile completions that a reward fails on are found", "[tools]") {
  const auto cases = hostile_cases(row("It is 12.", {}, 1));
  CHECK(failed(hostile_findings(of_each(size_of), cases, {})) == "");
  const Fake fragile = of_each([](const RewardItem& item) -> RewardOutcome {
    if (item.completion.empty()) return {.result = RewardResult::crash, .message = "SIGSEGV"};
    if (item.columns_json == "{}") return {.result = RewardResult::raised, .message = "KeyError"};
    if (item.reference.size() > 1000) return {.result = RewardResult::hang, .message = "10 s"};
    return size_of(item);
  });
  const auto findings =
      hostile_findings(fragile, cases, {.action = OnRewardError::score, .score = -1.0});
  CHECK(failed(findings) == "an empty completion, a reference of 100 kB");
  CHECK(findings[0].found == "crash: SIGSEGV");
  CHECK(findings[0].in_a_run == "goes on and gives it -1, as reward_on_error says");
  std::string notes;
  for (const Finding& finding : findings)
    if (finding.passed && !finding.found.empty()) notes += finding.what + ": " + finding.found;
  CHECK(notes == "a record without columns: raised: KeyError");
  int calls = 0;
  const Fake counting = of_each([&](const RewardItem&) { return outcome_of_score(++calls); });
  CHECK(hostile_findings(counting, std::span(cases).first(1), {})[0].found ==
        "completion 1 got 1, then 2");
}

TEST_CASE("reward batteries: a score that depends on anything but the item is found", "[tools]") {
  const std::vector<std::string> texts = {"a", "bb", "", "dddd", "eee", "f", "gg", "hhhhh", "i"};
  std::vector<RewardItem> items;
  for (const std::string& text : texts) items.push_back({.completion = text});
  const Fake pure = of_each(size_of);
  CHECK(purity_findings(pure, pure, items).size() == 6);
  CHECK(failed(purity_findings(pure, pure, items)) == "");

  const Fake by_call([](std::span<const RewardItem> call) {
    return std::vector<RewardOutcome>(call.size(), outcome_of_score(double(call.size())));
  });
  CHECK(failed(purity_findings(by_call, by_call, items)) ==
        "in calls of 1, in calls of 2, in calls of 7");
  const Fake by_place([](std::span<const RewardItem> call) {
    std::vector<RewardOutcome> outcomes;
    for (std::size_t i = 0; i < call.size(); ++i) outcomes.push_back(outcome_of_score(double(i)));
    return outcomes;
  });
  CHECK_THAT(failed(purity_findings(by_place, by_place, items)), Contains("in the reverse order"));
  int calls = 0;
  const Fake by_past = of_each([&](const RewardItem&) { return outcome_of_score(++calls); });
  CHECK_THAT(failed(purity_findings(by_past, pure, items)), Contains("asked again"));
  const Fake shifted = of_each([](const RewardItem& item) {
    return outcome_of_score(item.completion == "bb" ? 2.0000000000000004 : size_of(item).score);
  });
  const auto findings = purity_findings(pure, shifted, items);
  CHECK(failed(findings) == "in another process");
  CHECK(findings.back().found == "completion 2 got 2, then 2.0000000000000004");
  CHECK_THAT(findings.back().in_a_run, Contains("is repeated by no other"));
}

TEST_CASE("reward batteries: time is that of a completion", "[tools]") {
  const RewardItem item{.completion = "a"};
  const Timing timing = time_reward(of_each(size_of), {&item, 1});
  CHECK(timing.together > 0.0);
  CHECK(timing.p50 <= timing.p99);
}

}  // namespace
}  // namespace zeroth
