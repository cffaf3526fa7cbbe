// Rewards that look at how a completion is written: repetitions, steps, the script of its letters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

struct RepetitionPenaltyConfig {
  std::int64_t ngram_size = 3;
  double max_penalty = -1.0;
  std::string unit = "tokens";
};

template <class Visitor>
void visit_fields(Visitor& v, RepetitionPenaltyConfig& c) {
  v("ngram_size", c.ngram_size, "units of an n-gram");
  v("max_penalty", c.max_penalty, "at most 0; what a text of nothing but one n-gram approaches");
  v("unit", c.unit,
    "what n-grams are made of: tokens as in TRL, words (lower case, between white space) as in "
    "open-r1",
    {"tokens", "words"});
}

/// The n-gram repetition penalty (Yeo et al. 2025, "Demystifying Long Chain-of-Thought Reasoning",
/// appendix C.2), as in TRL and open-r1:
///
///   max_penalty * (1 - different n-grams / n-grams),
///
/// 0 for a completion of fewer than n units. Nothing to say where tokens are asked for and only
/// the text is known.
std::unique_ptr<Reward> make_repetition_penalty_reward(const RepetitionPenaltyConfig& config);

/// How many of the n-grams of `units` are different; n is at least 1 and at most their number.
/// Work grows as size * log n.
std::size_t count_different_ngrams(std::vector<std::uint32_t> units, std::size_t n);

/// open-r1's reasoning_steps_reward: the marks of steps in the completion, a third each, at most 1.
/// Marks are "Step 1:" (any number), "First,", "Second,", "Next,", "Finally,", a line that begins
/// with - or * (not the first line), and a number with a full stop at the very beginning.
std::unique_ptr<Reward> make_reasoning_steps_reward();

std::size_t count_reasoning_steps(std::string_view completion);

struct LanguageConfig {
  std::vector<std::string> scripts = {"latin"};
};

template <class Visitor>
void visit_fields(Visitor& v, LanguageConfig& c) {
  v("scripts", c.scripts,
    "scripts that the language is written in: latin, han, cyrillic, …; Japanese has han, hiragana "
    "and katakana");
}

/// Language consistency (DeepSeek-R1, section 2.3.2, which takes the share of words): the share of
/// the letters of known scripts (characters.h) that belong to `scripts`; 1 where there are no
/// letters. LaTeX commands, mathematics between $ or \( \) or \[ \], and tags do not count.
std::unique_ptr<Reward> make_language_reward(const LanguageConfig& config);

}  // namespace zeroth
