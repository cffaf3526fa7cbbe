#include "system/sandbox.h"

#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace zeroth {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

void limit(decltype(RLIMIT_CORE) resource, std::int64_t value, const char* name) {
  rlimit limits{};
  if (getrlimit(resource, &limits) == 0) {
    // What is held harder already stays so: only root could raise it.
    limits.rlim_max = std::min(static_cast<rlim_t>(value), limits.rlim_max);
    limits.rlim_cur = limits.rlim_max;
    if (setrlimit(resource, &limits) == 0) return;
  }
  throw std::system_error(errno, std::generic_category(),
                          std::string("setrlimit ") + name + " to " + std::to_string(value));
}

constexpr int kRefused[] = {SCMP_SYS(socket),
                            SCMP_SYS(connect),
                            SCMP_SYS(ptrace),
                            SCMP_SYS(process_vm_readv),
                            SCMP_SYS(process_vm_writev),
                            SCMP_SYS(setsid),
                            SCMP_SYS(setpgid),
                            SCMP_SYS(mount),
                            SCMP_SYS(umount2),
                            SCMP_SYS(pivot_root),
                            SCMP_SYS(bpf),
                            SCMP_SYS(perf_event_open),
                            SCMP_SYS(kexec_load),
                            SCMP_SYS(init_module),
                            SCMP_SYS(finit_module),
                            SCMP_SYS(reboot),
                            SCMP_SYS(unshare),
                            SCMP_SYS(setns)};

constexpr int kRefusedWithoutPrograms[] = {SCMP_SYS(execve), SCMP_SYS(execveat),
                                           SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(pidfd_send_signal)};

constexpr std::uint32_t kRefuse = SCMP_ACT_ERRNO(EPERM);

bool load_filter(bool may_execute) {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                                 &seccomp_release);
  if (filter == nullptr) return false;
  int error = 0;
  for (const int call : kRefused) error |= seccomp_rule_add(filter.get(), kRefuse, call, 0);
  if (!may_execute) {
    for (const int call : kRefusedWithoutPrograms)
      error |= seccomp_rule_add(filter.get(), kRefuse, call, 0);
    // Signals to itself stay: abort() is one.
    const scmp_arg_cmp not_self{
        .arg = 0, .op = SCMP_CMP_NE, .datum_a = static_cast<scmp_datum_t>(getpid()), .datum_b = 0};
    for (const int call : {SCMP_SYS(kill), SCMP_SYS(tgkill)})
      error |= seccomp_rule_add(filter.get(), kRefuse, call, 1, not_self);
    error |= seccomp_rule_add(filter.get(), kRefuse, SCMP_SYS(tkill), 0);
  }
  return error == 0 && seccomp_load(filter.get()) == 0;
}

[[noreturn]] void watch(int lifeline) {
  // It holds no descriptor open that is anybody's, and no signal to its group ends it early.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  if (dup2(lifeline, 0) != 0) _exit(1);
  closefrom(1);
  char byte;
  while (read(0, &byte, 1) < 0 && errno == EINTR) {
  }
  kill(0, SIGKILL);
  _exit(0);
}

}  // namespace

void end_group_with(int lifeline) {
  const auto fail = [] { throw std::system_error(errno, std::generic_category(), "watching"); };
  if (fcntl(lifeline, F_GETFD) < 0) fail();
  const pid_t child = fork();
  if (child < 0) fail();
  if (child == 0) {
    const pid_t watcher = fork();
    if (watcher == 0) watch(lifeline);
    _exit(watcher < 0 ? 1 : 0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  close(lifeline);
  if (status != 0) throw std::runtime_error("watching: no process could be started");
}

std::string_view isolation_name(Isolation isolation) {
  switch (isolation) {
    case Isolation::none:
      return "none";
    case Isolation::limits:
      return "limits";
    case Isolation::seccomp:
      return "seccomp";
  }
  return "none";
}

Isolation enter_sandbox(const SandboxOptions& options) {
  limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
  limit(RLIMIT_FSIZE, options.file_size, "RLIMIT_FSIZE");
  limit(RLIMIT_NOFILE, options.open_files, "RLIMIT_NOFILE");
  // RLIMIT_DATA counts what a process can write to and no other sees. RLIMIT_AS would also count
  // addresses that are only reserved: an interpreter with a few libraries holds many gigabytes of
  // those. A program under AddressSanitizer or ThreadSanitizer holds terabytes of both kinds.
  if (!kSanitized) limit(RLIMIT_DATA, options.memory, "RLIMIT_DATA");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    throw std::system_error(errno, std::generic_category(), "prctl");
  return load_filter(options.may_execute) ? Isolation::seccomp : Isolation::limits;
}

}  // namespace zeroth
