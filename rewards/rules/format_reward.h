// Is the completion laid out as <think>…</think><answer>…</answer>? Layout only; the content is not
// judged.
#pragma once

#include <memory>
#include <string_view>

#include "rewards/reward.h"
#include "rewards/rules/math_reward.h"

namespace zeroth {

/// True when `completion` is exactly one <think>…</think>, white space or nothing, and one
/// <answer>…</answer>, with nothing before, after or between, each of the four tags once, and an
/// answer that is not only white space.
bool follows_format(std::string_view completion);

/// Partial credit for the layout: 0.25 for each of <think>, </think>, <answer>, </answer> that
/// occurs exactly once and, going through the four in this order, begins after the last one that
/// earned its quarter. Text outside the tags costs nothing, so a well laid out completion always
/// has 1, but not only such a one.
double format_parts(std::string_view completion);

/// 1 when follows_format, else 0.
std::unique_ptr<Reward> make_format_reward();

/// format_parts: 0, 0.25, 0.5, 0.75 or 1. Tells groups apart before any completion has the whole
/// layout.
std::unique_ptr<Reward> make_graded_format_reward();

/// 1 when the layout and the answer are both right (make_format_reward and make_accuracy_reward),
/// else 0.
std::unique_ptr<Reward> make_accuracy_in_format_reward(AccuracyRewardConfig config = {});

}  // namespace zeroth
