// The Countdown game: reach a target from given numbers by + - * / and parentheses.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/answers/answer_extraction.h"
#include "rewards/reward.h"

namespace zeroth {

struct CountdownConfig {
  std::string target_column = "target";
  std::string numbers_column = "nums";
  bool allow_subset = false;
  double format_score = 0.0;
};

template <class Visitor>
void visit_fields(Visitor& v, CountdownConfig& c) {
  v("target_column", c.target_column,
    "column with the number to reach; without that column the reference is it");
  v("numbers_column", c.numbers_column, "column with the list of numbers to use");
  v("allow_subset", c.allow_subset, "true = numbers may be left over, as on television");
  v("format_score", c.format_score,
    "for an answer that does not reach the target by the rules; TinyZero gives 0.1");
}

/// A game in lowest terms (math::lowest_terms).
struct CountdownGame {
  std::string target;
  std::vector<std::string> numbers;
};

/// Whether `answer` reaches the target (math::read_arithmetic, exactly), each number used exactly
/// once, as often as it is there; with `allow_subset` at most once.
bool solves_countdown(std::string_view answer, const CountdownGame& game, bool allow_subset);

/// The game of an item: its columns; else the reference, which is the target or an object
/// {"target": 24, "numbers": [3, 8]}. InputError where there is none.
CountdownGame countdown_game(const RewardItem& item, const CountdownConfig& config);

/// TinyZero's countdown: 1 where the answer that the extraction finds solves_countdown,
/// format_score for any other answer, 0 without one. An item without a game is a failure.
std::unique_ptr<Reward> make_countdown_reward(const CountdownConfig& config,
                                              const ExtractionConfig& extraction = {});

}  // namespace zeroth
