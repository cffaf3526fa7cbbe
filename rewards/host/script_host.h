// Rewards that are Python functions with TRL's signature, run by an interpreter in a child process.
//
//   def f(prompts, completions, completion_ids=None, **columns) -> list[float]
//
// Lists of one length, an entry an item: prompts and completions as texts, completion_ids as lists
// of integers (None where only the text is known), and every column of the data set, where `answer`
// and `reference` are the reference answer unless the data set has a column of that name; so are
// num_tokens, max_tokens and finish_reason. log_extra and log_metric are functions that do nothing;
// trainer_state there is none. A function is given what it names, all with **.
//
// Prompts and completions are conversations, as in TRL, where a record's column `prompt` is one and
// where reward_config says "conversational": true. The other parameters of reward_config are given
// by name: to the function, or, where FUNCTION is a class, to the class, whose object is called
// then. An async function is awaited; the calls of a batch are, together.
//
// A parameter without a default gets None for items whose record lacks the column; one with a
// default keeps it, and ** lacks the column. Items that differ in this go in calls of their own, so
// that what a function is given for an item depends on no other item. A parameter without a default
// that is a column of no record is refused before a run. None in the result: the reward does not
// apply to that item.
#pragma once

#include <memory>
#include <string>

#include "rewards/host/hosted_reward.h"

namespace zeroth {

/// Whether a word of reward_funcs begins as python:FILE:FUNCTION does.
bool names_script(std::string_view name);

/// InputError when `name` is not python:FILE:FUNCTION, the file is missing or is no Python, there
/// is no such function in it, or no interpreter.
std::unique_ptr<HostedReward> make_script_reward(const std::string& name, const RewardHost& host);

/// The child's side, in the sandbox already: becomes the interpreter. When there is none, says so
/// on descriptor `channel` and returns.
void serve_script(const std::string& python, const std::string& file, const std::string& function,
                  const std::string& parameters, int channel);

}  // namespace zeroth
