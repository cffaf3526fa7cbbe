// What a child process may use: limits of the system, a filter of its calls, and at the highest
// level namespaces of its own. Taken on by the child itself, once and for good, before it runs what
// is not trusted.
//
// Up to `seccomp` it holds off accidents and careless code, not an attacker: the child keeps the
// user's rights to files, RLIMIT_NPROC is left alone, as it does not bind root and counts all of a
// user's processes, and memory is limited for each process by itself. At `full` the child sees
// files, processes and networks that are its own, and nothing of the user's but what it is given.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {

/// How far a child is held, each level with those before it.
enum class Isolation { none, limits, seccomp, full };

std::string_view isolation_name(Isolation isolation);
/// By one of the names above; std::invalid_argument otherwise.
Isolation parse_isolation(std::string_view name);

/// A level that cannot be reached on this machine; what() is the reason.
class SandboxError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct SandboxOptions {
  Isolation level = Isolation::seccomp;
  std::int64_t memory = std::int64_t{4} << 30;     // bytes of private memory of each process
  std::int64_t file_size = std::int64_t{1} << 30;  // bytes of the largest file it may write
  std::int64_t open_files = 256;                   // descriptors
  bool may_execute = false;                        // other programs
  // At `full`:
  std::int64_t processes = 512;  // at a time, threads included; `memory` is for all together
  std::vector<std::string> readable = {};  // files and directories, beside the system's
  std::vector<std::string> hidden = {};    // among these
  std::string directory = {};              // to work in where the present one is out of sight
};

/// Takes on what `level` asks of a process. From `limits`: no core dumps, the limits above, no new
/// privileges by programs. From `seccomp`: no sockets but pairs, no tracing and no reading of other
/// processes, no leaving of the process group, no mounting, no namespaces, no typing at the
/// terminal, and unless `may_execute` no other program and no signal to other processes; a refused
/// call fails with EPERM. `full` adds RLIMIT_NPROC, no memory without a process and no capability,
/// and makes root nobody, who reads what root may: for a user namespace of its own, which is
/// sandbox_keeper.h's matter. At every level it dies with its parent.
/// std::system_error for a limit that the system refuses, SandboxError where the kernel takes no
/// filter. A limit that is lower already stays.
void enter_sandbox(const SandboxOptions& options);

}  // namespace zeroth
