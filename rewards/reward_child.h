// The process that a reward lives in, seen from inside.
//
// Why a program of its own and not a fork: the trainer has threads, whose locks a fork would copy
// in whatever state they are, and gigabytes of weights, which it would have to map again. The same
// program started anew has neither, takes milliseconds, and needs no second binary to be installed.
#pragma once

namespace zeroth {

/// `reward-host plugin MEMORY FILE PARAMETERS`, `reward-host script MEMORY FILE FUNCTION PYTHON
/// PARAMETERS` or `reward-host program MEMORY PARAMETERS FILE ARGUMENT…`: enters the sandbox and
/// serves on descriptor 3 until it is closed. Returns the exit code.
int run_reward_child(int argc, char** argv);

}  // namespace zeroth
