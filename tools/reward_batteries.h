// What a reward is put through before a run: right scores, hostile completions, scores that depend
// on nothing else, and time. Through Reward::judge, so that a reward of the user's own is asked in
// its process and its sandbox as it is by a run.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "rewards/reward.h"
#include "tools/score_rows.h"

namespace zeroth {

/// One thing that was tried.
struct Finding {
  std::string what;  // "10 MB of digits"
  bool passed = true;
  std::string found = {};     // where it did not pass, and notes where it did
  std::string in_a_run = {};  // what a training run does about it
  double seconds = 0.0;       // a completion, where it was timed
};

/// Golden: the rows that have a `score` get it, to 1e-9 of its size.
std::vector<Finding> golden_findings(const Reward& reward, std::span<const ScoreRow> rows,
                                     const RewardErrorPolicy& on_error);

/// A completion to be rude with, and what it is called.
struct HostileCase {
  std::string what;
  ScoreRow row;
  bool is_of_data = false;  // the record has it, and no model writes it
};
/// Made of `row`: empty, NUL bytes, no UTF-8, 10 MB, deep nesting, tags that do not close, text
/// from right to left, long and missing columns, …
std::vector<HostileCase> hostile_cases(const ScoreRow& row);

/// Adversarial: every case alone gets a score or none, twice the same in one call. What the reward
/// raises fails it too, as a run stops there; but where it is of the data, that is a note.
std::vector<Finding> hostile_findings(const Reward& reward, std::span<const HostileCase> cases,
                                      const RewardErrorPolicy& on_error);

/// Purity: every item gets the same bits alone, in the reverse order, in calls of other sizes,
/// asked again and by `another`, the same reward in a process of its own.
std::vector<Finding> purity_findings(const Reward& reward, const Reward& another,
                                     std::span<const RewardItem> items);

/// What scoring costs, the way to the reward's process and back included, in microseconds.
struct Timing {
  double together = 0.0;        // of a completion in calls of 64, the best call
  double p50 = 0.0, p99 = 0.0;  // of a call with one completion
};
Timing time_reward(const Reward& reward, std::span<const RewardItem> items);

/// What a run does about a completion with such an outcome.
std::string in_a_run(const RewardOutcome& outcome, const RewardErrorPolicy& on_error);

}  // namespace zeroth
