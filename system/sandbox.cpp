#include "system/sandbox.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <span>
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

constexpr uid_t kNobody = 65534;  // what the kernel calls overflowuid

constexpr std::string_view kNames[] = {"none", "limits", "seccomp", "full"};

// Other processes, the machine, other namespaces, and what goes round this filter: io_uring has
// sockets of its own.
constexpr int kRefused[] = {SCMP_SYS(socket),
                            SCMP_SYS(connect),
                            SCMP_SYS(ptrace),
                            SCMP_SYS(process_vm_readv),
                            SCMP_SYS(process_vm_writev),
                            SCMP_SYS(process_madvise),
                            SCMP_SYS(pidfd_getfd),
                            SCMP_SYS(kcmp),
                            SCMP_SYS(setsid),
                            SCMP_SYS(setpgid),
                            SCMP_SYS(mount),
                            SCMP_SYS(umount2),
                            SCMP_SYS(pivot_root),
                            SCMP_SYS(chroot),
                            SCMP_SYS(open_tree),
                            SCMP_SYS(move_mount),
                            SCMP_SYS(mount_setattr),
                            SCMP_SYS(fsopen),
                            SCMP_SYS(fsconfig),
                            SCMP_SYS(fsmount),
                            SCMP_SYS(fspick),
                            SCMP_SYS(name_to_handle_at),
                            SCMP_SYS(open_by_handle_at),
                            SCMP_SYS(bpf),
                            SCMP_SYS(perf_event_open),
                            SCMP_SYS(userfaultfd),
                            SCMP_SYS(io_uring_setup),
                            SCMP_SYS(io_uring_enter),
                            SCMP_SYS(io_uring_register),
                            SCMP_SYS(add_key),
                            SCMP_SYS(request_key),
                            SCMP_SYS(keyctl),
                            SCMP_SYS(kexec_load),
                            SCMP_SYS(kexec_file_load),
                            SCMP_SYS(init_module),
                            SCMP_SYS(finit_module),
                            SCMP_SYS(delete_module),
                            SCMP_SYS(swapon),
                            SCMP_SYS(swapoff),
                            SCMP_SYS(acct),
                            SCMP_SYS(syslog),
                            SCMP_SYS(reboot),
                            SCMP_SYS(unshare),
                            SCMP_SYS(setns)};

constexpr int kRefusedWithoutPrograms[] = {SCMP_SYS(execve), SCMP_SYS(execveat),
                                           SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(pidfd_send_signal)};

// Memory that no process has mapped is in no process's count.
constexpr int kRefusedWhereCounted[] = {SCMP_SYS(memfd_create), SCMP_SYS(memfd_secret),
                                        SCMP_SYS(shmget)};

constexpr unsigned long kNamespaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                         CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};

constexpr std::uint32_t kRefuse = SCMP_ACT_ERRNO(EPERM);

class Filter {
 public:
  Filter() : filter_(seccomp_init(SCMP_ACT_ALLOW)) {
    if (filter_ == nullptr) throw SandboxError("libseccomp makes no filter");
    // A tree in place of a list: every call of the process goes through it.
    seccomp_attr_set(filter_, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  }
  ~Filter() { seccomp_release(filter_); }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  void refuse(std::span<const int> calls) {
    for (const int call : calls) add(kRefuse, call, {});
  }
  void refuse(int call, scmp_arg_cmp where) { add(kRefuse, call, {where}); }
  void add(std::uint32_t action, int call, std::vector<scmp_arg_cmp> where) {
    const int error = seccomp_rule_add_array(filter_, action, call,
                                             static_cast<unsigned>(where.size()), where.data());
    if (error != 0)
      throw SandboxError("seccomp_rule_add: " + std::generic_category().message(-error));
  }
  void load() {
    if (const int error = seccomp_load(filter_); error != 0)
      throw SandboxError("seccomp_load: " + std::generic_category().message(-error));
  }

 private:
  scmp_filter_ctx filter_;
};

scmp_arg_cmp argument(unsigned index, scmp_compare compare, std::uint64_t a, std::uint64_t b = 0) {
  return {.arg = index, .op = compare, .datum_a = a, .datum_b = b};
}

void load_filter(const SandboxOptions& options) {
  Filter filter;
  filter.refuse(kRefused);
  for (const unsigned long flag : kNamespaces)
    filter.refuse(SCMP_SYS(clone), argument(0, SCMP_CMP_MASKED_EQ, flag, flag));
  // Its flags are in memory, where a filter does not look; the C library goes on with clone().
  filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), {});
  // Datagrams of a pair could be sent to other sockets.
  filter.refuse(SCMP_SYS(socketpair), argument(1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM));
  // What is typed so at the user's terminal is a command when the run has ended.
  for (const unsigned long request : {TIOCSTI, TIOCLINUX})
    filter.refuse(SCMP_SYS(ioctl), argument(1, SCMP_CMP_MASKED_EQ, 0xffffffff, request));
  if (!options.may_execute) {
    filter.refuse(kRefusedWithoutPrograms);
    // Signals to itself stay: abort() is one.
    const auto own = static_cast<std::uint64_t>(getpid());
    for (const int call : {SCMP_SYS(kill), SCMP_SYS(tgkill)})
      filter.refuse(call, argument(0, SCMP_CMP_NE, own));
    filter.add(kRefuse, SCMP_SYS(tkill), {});
  }
  if (options.level == Isolation::full) filter.refuse(kRefusedWhereCounted);
  filter.load();
}

// For good: what the process starts has none of it either. Root becomes nobody, whom RLIMIT_NPROC
// binds. Root's files can be read as before, and run by one that may run programs, which takes the
// right to write as well: but nothing that is mounted here can be written to, except /tmp.
void give_up_privileges(bool may_execute) {
  const bool was_root = geteuid() == 0;
  std::vector<int> kept;
  if (was_root) kept.push_back(CAP_DAC_READ_SEARCH);
  if (was_root && may_execute) kept.push_back(CAP_DAC_OVERRIDE);
  const auto check = [](long result, const char* what) {
    if (result != 0) throw std::system_error(errno, std::generic_category(), what);
  };
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if (std::find(kept.begin(), kept.end(), capability) == kept.end())
      prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  if (was_root) {
    check(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl");
    check(setgroups(0, nullptr), "setgroups");
    check(setresgid(kNobody, kNobody, kNobody), "setresgid");
    check(setresuid(kNobody, kNobody, kNobody), "setresuid");
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  for (const int capability : kept) data[0].permitted |= 1U << capability;
  data[0].effective = data[0].inheritable = data[0].permitted;
  check(syscall(SYS_capset, &header, data), "capset");
  if (!was_root) return;
  for (const int capability : kept)
    check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl");
  check(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl");  // so that /proc/self is its own
}

void set_limits(const SandboxOptions& options) {
  limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
  limit(RLIMIT_FSIZE, options.file_size, "RLIMIT_FSIZE");
  limit(RLIMIT_NOFILE, options.open_files, "RLIMIT_NOFILE");
  // RLIMIT_DATA counts what a process can write to and no other sees. RLIMIT_AS would also count
  // addresses that are only reserved: an interpreter with a few libraries holds many gigabytes of
  // those. A program under AddressSanitizer or ThreadSanitizer holds terabytes of both kinds.
  if (!kSanitized) limit(RLIMIT_DATA, options.memory, "RLIMIT_DATA");
  // In a user namespace of its own it counts this sandbox's processes alone.
  if (options.level == Isolation::full) limit(RLIMIT_NPROC, options.processes, "RLIMIT_NPROC");
}

}  // namespace

std::string_view isolation_name(Isolation isolation) {
  return kNames[static_cast<std::size_t>(isolation)];
}

Isolation parse_isolation(std::string_view name) {
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) throw std::invalid_argument("isolation: " + std::string(name));
  return static_cast<Isolation>(found - std::begin(kNames));
}

void enter_sandbox(const SandboxOptions& options) {
  if (options.level >= Isolation::limits) set_limits(options);
  if (options.level == Isolation::full) give_up_privileges(options.may_execute);
  // Asked for when the privileges are gone: to lose them takes it back.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
    throw std::system_error(errno, std::generic_category(), "prctl");
  if (options.level == Isolation::none) return;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    throw std::system_error(errno, std::generic_category(), "prctl");
  if (options.level >= Isolation::seccomp) load_filter(options);
}

}  // namespace zeroth
