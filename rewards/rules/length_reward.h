// Rewards that look at how long a completion is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "rewards/answers/answer_extraction.h"
#include "rewards/reward.h"

namespace zeroth {

struct SoftOverlongConfig {
  std::int64_t max_completion_len = 0;
  std::int64_t soft_punish_cache = -1;
};

template <class Visitor>
void visit_fields(Visitor& v, SoftOverlongConfig& c) {
  v("max_completion_len", c.max_completion_len,
    "tokens from which on the punishment is whole; 0 = max_completion_length of the run");
  v("soft_punish_cache", c.soft_punish_cache,
    "tokens before that over which it grows; -1 = a fifth of them (DAPO's 4096 of 20480)");
}

/// The soft overlong punishment of DAPO (Yu et al. 2025, eq. 13), as in TRL and open-r1: with n
/// tokens, L = max_completion_len and C = soft_punish_cache
///
///   0 for n <= L - C,    (L - C - n) / C for L - C < n <= L,    -1 for n > L.
///
/// Nothing to say where tokens or the maximum are not known.
std::unique_ptr<Reward> make_soft_overlong_reward(const SoftOverlongConfig& config);

struct CosineLengthConfig {
  double min_value_wrong = -1.0;
  double max_value_wrong = -0.5;
  double min_value_correct = 0.5;
  double max_value_correct = 1.0;
  std::int64_t max_len = 0;
  std::string unit = "tokens";
  bool clamp = true;
  std::string unreadable_reference = "text";
};

template <class Visitor>
void visit_fields(Visitor& v, CosineLengthConfig& c) {
  v("min_value_wrong", c.min_value_wrong, "for a wrong answer of length 0");
  v("max_value_wrong", c.max_value_wrong, "for a wrong answer of length max_len");
  v("min_value_correct", c.min_value_correct, "for a right answer of length max_len");
  v("max_value_correct", c.max_value_correct, "for a right answer of length 0");
  v("max_len", c.max_len, "length at which the curve ends; 0 = max_completion_length of the run");
  v("unit", c.unit, "what a length is counted in: tokens as in TRL, characters as in open-r1",
    {"tokens", "characters"});
  v("clamp", c.clamp, "lengths above max_len count as max_len; false = the cosine rises again");
  v("unreadable_reference", c.unreadable_reference,
    "a reference in no box that is no mathematics: text = is compared as text, skip = the reward "
    "does not apply",
    {"text", "skip"});
}

/// The cosine length reward (Yeo et al. 2025, "Demystifying Long Chain-of-Thought Reasoning",
/// appendix C.1), as in TRL and open-r1: with p = length / max_len
///
///   low + (high - low) (1 + cos(pi p)) / 2,
///
/// where (low, high) = (min_value_correct, max_value_correct) for a right answer, and
/// (max_value_wrong, min_value_wrong) for a wrong one. Right is what accuracy calls right. Nothing
/// to say where the length or the maximum is not known.
std::unique_ptr<Reward> make_cosine_length_reward(const CosineLengthConfig& config,
                                                  const ExtractionConfig& extraction = {});

}  // namespace zeroth
