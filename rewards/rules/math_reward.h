// Is the final answer right? The last answer of the completion against the problem's reference.
//
// Goal: what a careful reader would call the same answer (math/equality.h says how), bounded for
// any bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "rewards/answers/answer_extraction.h"
#include "rewards/math/equality.h"
#include "rewards/reward.h"

namespace zeroth {

struct AccuracyRewardConfig {
  ExtractionConfig extraction;
};

/// 1 when the answer extracted from the completion equals the reference (answers_equal), else 0. A
/// reference that holds a box counts as its content.
std::unique_ptr<Reward> make_accuracy_reward(AccuracyRewardConfig config = {});

struct AnswerPolicy {
  math::EqualityPolicy equality = {};
  bool evaluated = true;  // where a number is asked for, arithmetic left to do is no answer
};

struct AnswerVerdict {
  bool equal = false;
  std::string_view why;  // a few words
};

/// Equal as exact numbers where both are plain numbers, else by math::compare_answers; but unless
/// the policy says otherwise, an answer that is_unevaluated never equals an integer or a decimal.
AnswerVerdict judge_answer(std::string_view answer, std::string_view reference,
                           const AnswerPolicy& policy = {});
bool answers_equal(std::string_view answer, std::string_view reference);

/// Whether `text` can be read at all: a number, an expression or words; not "\frac{1}{" or nothing.
bool is_answer(std::string_view text);

/// The answer that a reference holds: what its last box holds (boxed_answer), or all of it.
std::string reference_answer(std::string_view reference);

/// `text` without white space, \left, \right, the LaTeX spaces \! \, \; \: "\ ", surrounding $…$
/// and a final full stop; \dfrac and \tfrac become \frac.
std::string normalized_answer(std::string_view text);

}  // namespace zeroth
