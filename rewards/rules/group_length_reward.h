// A reward for being shorter than the other completions of the same prompt.
#pragma once

#include <memory>
#include <string>

#include "rewards/answers/answer_extraction.h"
#include "rewards/reward.h"

namespace zeroth {

struct GroupLengthConfig {
  std::string unit = "tokens";
  std::string unreadable_reference = "text";
};

template <class Visitor>
void visit_fields(Visitor& v, GroupLengthConfig& c) {
  v("unit", c.unit, "what a length is counted in: tokens, or characters as in open-r1",
    {"tokens", "characters"});
  v("unreadable_reference", c.unreadable_reference,
    "a reference in no box that is no mathematics: text = is compared as text, skip = every answer "
    "counts as right, as in open-r1",
    {"text", "skip"});
}

/// The length reward of Kimi k1.5 (arXiv:2501.12599, section 2.3.3), open-r1's len_reward: with the
/// shortest and the longest completion of the group
///
///   lambda = 1/2 - (length - shortest) / (longest - shortest),
///
/// lambda for a right answer, min(0, lambda) for a wrong one; 0 for all of a group of one length.
/// Right is what accuracy calls right. A group is what comes together with one prompt and one
/// reference, side by side: commands score whole groups in one call. So this reward, other than the
/// rest, is a function of the group. Nothing to say where a length is not known.
std::unique_ptr<Reward> make_group_length_reward(const GroupLengthConfig& config,
                                                 const ExtractionConfig& extraction = {});

}  // namespace zeroth
