// Rewards that are programs in any language, run in a child process: exec:FILE [ARGUMENT…].
//
// The program is started once and kept. It reads a line of JSON for each completion and writes one
// for each, in order (item_lines.h), and has to write out what it has answered before it reads on:
// a line that waits in its buffer is waited for. The parameters of reward_config are one JSON
// object in ZEROTH_REWARD_PARAMETERS. Its standard error is zeroth's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/host/hosted_reward.h"

namespace zeroth {

/// Whether a word of reward_funcs begins as exec:FILE does.
bool names_program(std::string_view word);

/// Spaces end FILE and arguments, of which none has one. A FILE without a slash is looked for here,
/// then in PATH; one found there is an interpreter, and the reward is the first argument that is a
/// file, where there is one. The reward's name is that of its file without the ending. InputError
/// when there is none or it cannot be started.
std::unique_ptr<HostedReward> make_program_reward(const std::string& word, const RewardHost& host);

/// The child's side, in the sandbox already: starts arguments[0] and answers on descriptor
/// `channel` for it until that is closed. `file` names the reward.
void serve_program(const std::string& file, const std::vector<std::string>& arguments,
                   const std::string& parameters, int channel);

}  // namespace zeroth
