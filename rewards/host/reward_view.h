// What the process of a reward sees at the sandbox's level `full`.
#pragma once

#include <string>
#include <vector>

#include "rewards/host/reward_process.h"
#include "system/sandbox.h"

namespace zeroth {

/// The sandbox of `program`, whose file the user named. Readable are the file's directory, the
/// directories of PYTHONPATH, VIRTUAL_ENV and LD_LIBRARY_PATH, the user's installed packages of
/// Python, host.readable, and what its interpreters are installed in. Of a directory that is not of
/// one purpose (the user's home and what holds it, /tmp and its like) only the files are, less
/// those whose name begins with a dot. host.hidden is not.
SandboxOptions sandbox_of(const RewardHost& host, const std::string& file,
                          const HostedProgram& program);

}  // namespace zeroth
