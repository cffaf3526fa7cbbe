// The small process that stands between this program and one that is not trusted: it starts that
// process in a sandbox, passes on what it prints, and ends all of it.
//
// Why a process in between: a pid namespace's processes must be forked by one that made it; what a
// child has started is found and killed by who adopts it; and a bound on what all processes of a
// sandbox hold together needs somebody who counts.
#pragma once

#include <sys/types.h>

#include <functional>

#include "system/sandbox.h"

namespace zeroth {

struct KeptProcess {
  int lifeline;  // descriptor: at its end everything is killed
  int channel;   // descriptor that the process keeps, beside the standard ones; here it is closed
  /// Told of the process's id, as this namespace has it, before `run` begins there.
  std::function<void(pid_t)> started;
  /// In the sandbox. Gives the exit code.
  std::function<int()> run;
};

/// Output of a process that is passed on to standard error, in bytes; the rest is dropped.
inline constexpr std::int64_t kMostOutput = std::int64_t{1} << 20;

/// Exit code of a keeper that ended its processes because together they held more than `memory`.
inline constexpr int kTooMuchExit = 113;

/// Runs `kept` in a sandbox of options.level and does not return: ends as the process ends, by the
/// same code or signal, or with kTooMuchExit; before that, all that the process has started is
/// killed. For a process of one thread. SandboxError where the level cannot be reached.
///
/// `full` is namespaces for users, processes, files, networks, System V's memory and the host's
/// name. The process has its user's id, or for root nobody's, and a root of private_root.h. A first
/// process of the namespace watches the lifeline as well: when this one is killed, all go.
/// Where a control group can be made (control_group.h), the process is in one, so that a burst
/// between two counts is bounded as well.
[[noreturn]] void keep_sandboxed(const SandboxOptions& options, const KeptProcess& kept);

}  // namespace zeroth
