// What a child process may use: limits of the system, and a filter of its calls. Taken on by the
// child itself, once and for good, before it runs what is not trusted.
//
// It holds off accidents and careless code, not an attacker: the child keeps the user's rights to
// files. Two things the limits do not do. RLIMIT_NPROC is left alone, as it does not bind root and
// counts all of a user's processes otherwise. Memory is limited for each process by itself: a child
// that starts ten may use ten times as much.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zeroth {

struct SandboxOptions {
  std::int64_t memory = std::int64_t{4} << 30;     // bytes of private memory of each process
  std::int64_t file_size = std::int64_t{1} << 30;  // bytes of the largest file it may write
  std::int64_t open_files = 256;                   // descriptors
  bool may_execute = false;                        // other programs
};

/// How far a child is held, each level with those before it.
enum class Isolation { none, limits, seccomp };

std::string_view isolation_name(Isolation isolation);

/// Starts a process that kills this process group when `lifeline`, a pipe, comes to its end, and
/// closes `lifeline` here. Death with the parent (below) reaches this process alone; what it starts
/// would live on. The watcher is no child of this process, which may wait for all it has started.
/// For a process of one thread, before enter_sandbox. std::system_error when there is no lifeline.
void end_group_with(int lifeline);

/// Sets for this process and all that it starts: no core dumps, the limits above, no new privileges
/// by programs, death with the thread that started it; and where the kernel takes filters, no
/// sockets but pairs, no tracing and no reading of other processes, no leaving of the process
/// group, no mounting, and unless `may_execute` no other program and no signal to other processes.
/// A refused call fails with EPERM. Returns the level reached; std::system_error for a limit that
/// the system refuses. A limit that is lower already stays.
Isolation enter_sandbox(const SandboxOptions& options);

}  // namespace zeroth
