// Is the final answer right? The last answer of the completion against the problem's reference.
//
// Goal: what a careful reader would call the same answer (math/equality.h says how), bounded for
// any bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "rewards/answer_extraction.h"
#include "rewards/reward.h"

namespace zeroth {

struct AccuracyRewardConfig {
  ExtractionConfig extraction;
};

/// 1 when the answer extracted from the completion equals the reference (answers_equal), else 0. A
/// reference that holds a box counts as its content.
std::unique_ptr<Reward> make_accuracy_reward(AccuracyRewardConfig config = {});

/// Equal as exact numbers where both are plain numbers, else by math::compare_answers; but an
/// answer that is_unevaluated never equals an integer or a decimal.
bool answers_equal(std::string_view answer, std::string_view reference);

/// Whether `text` can be read at all: a number, an expression or words; not "\frac{1}{" or nothing.
bool is_answer(std::string_view text);

/// `text` without white space, \left, \right, the LaTeX spaces \! \, \; \: "\ ", surrounding $…$
/// and a final full stop; \dfrac and \tfrac become \frac.
std::string normalized_answer(std::string_view text);

}  // namespace zeroth
