// The process that a reward lives in, seen from inside.
//
// Why a program of its own and not a fork: the trainer has threads, whose locks a fork would copy
// in whatever state they are, and gigabytes of weights, which it would have to map again. The same
// program started anew has neither, takes milliseconds, and needs no second binary to be installed.
#pragma once

#include <string>
#include <vector>

#include "system/sandbox.h"

namespace zeroth {

/// `reward-host SANDBOX… plugin FILE PARAMETERS`, `… script FILE FUNCTION PYTHON PARAMETERS` or `…
/// program PARAMETERS NAMED FILE ARGUMENT…`: starts the process in a sandbox that sandbox_arguments
/// describe, says on descriptor 3 how that went (HostStart) and has it serve there until that is
/// closed. Returns the exit code, or ends as the process does.
int run_reward_child(int argc, char** argv);

/// Arguments, one or several a field, as paths may hold any byte but 0.
std::vector<std::string> sandbox_arguments(const SandboxOptions& options);

}  // namespace zeroth
