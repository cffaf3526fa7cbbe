// Completions as lines of JSON, and the lines that answer them: what a program of the user's
// (exec:) reads and writes.
//
// In, a line for each completion, its keys in this order, UTF-8 (what is none is U+FFFD), no line
// break within:
//   {"completion": "…", "reference": "…", "prompt": "…", "columns": {…}, "num_tokens": 5,
//    "max_tokens": 64, "finish_reason": "stop" or "length", "completion_ids": […] or null}
// without the spaces. Out, a line for each, in order: {"score": number}, {"score": null} where the
// reward does not apply, or {"error": "why"}. Other keys are passed over.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/host/host_protocol.h"
#include "rewards/reward.h"

namespace zeroth {

/// The line of `item`, with its end.
std::string item_line(const RewardItem& item);

/// What the lines, without their ends, say of as many items: outcomes, or the failure that the
/// first line tells or is: raised, or garbled where it is no answer.
HostReply read_answers(std::span<const std::string_view> lines);

}  // namespace zeroth
