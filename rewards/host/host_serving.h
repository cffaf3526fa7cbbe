// The child's side of host_protocol.h, for what it serves in this very process.
#pragma once

#include <functional>
#include <span>

#include "rewards/host/host_protocol.h"
#include "system/error.h"

namespace zeroth {

using AnswerItems = std::function<HostReply(std::span<const RewardItem>)>;

/// Says the greeting on descriptor `channel`, then answers until the channel is closed.
/// A copy of this process that comes back from `answer` says nothing and ends.
void serve_items(int channel, const HostGreeting& greeting, const AnswerItems& answer);

/// Says why there is nothing to serve.
void serve_refusal(int channel, const InputError& error);

}  // namespace zeroth
