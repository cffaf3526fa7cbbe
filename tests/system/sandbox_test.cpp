#include "system/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>
#include <memory>
#include <new>
#include <system_error>

#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// The wait status of a child that enters the sandbox and exits with what `act` gives. fork() is
// enough here: the child shares the test's single thread.
int status_of(const SandboxOptions& options, const std::function<int()>& act) {
  const pid_t child = fork();
  if (child == 0) {
    int code = 99;
    for (const int signal : {SIGABRT, SIGTERM}) ::signal(signal, SIG_DFL);  // Catch2 has its own
    try {
      enter_sandbox(options);
      code = act();
    } catch (const std::bad_alloc&) {
      code = 98;
    } catch (...) {
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

int code_of(const SandboxOptions& options, const std::function<int()>& act) {
  const int status = status_of(options, act);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// 0 when the call was made, else the error.
int error_of(long result) {
  return result < 0 ? errno : 0;
}

TEST_CASE("sandbox: what is limited, and the same without the sandbox", "[system]") {
  const testing::TemporaryDirectory directory;
  const std::string file = (directory / "file").string();
  const auto writes = [&](std::size_t size) {
    FILE* out = fopen(file.c_str(), "wb");
    const std::string bytes(size, 'x');
    const bool written = fwrite(bytes.data(), 1, size, out) == size;
    return fclose(out) == 0 && written ? 0 : 1;
  };
  const SandboxOptions options{.file_size = 4 * kMiB, .open_files = 32};
  CHECK(code_of(options, [&] { return writes(2 * kMiB); }) == 0);
  CHECK(code_of(options, [&] { return writes(8 * kMiB); }) == -SIGXFSZ);
  const auto opens = [](int count) {
    for (int i = 0; i < count; ++i) {
      if (dup(0) < 0) return errno;
    }
    return 0;
  };
  CHECK(code_of(options, [&] { return opens(40); }) == EMFILE);
  CHECK(code_of({.open_files = 100}, [&] { return opens(40); }) == 0);
  const auto core = [] {
    rlimit limit{};
    getrlimit(RLIMIT_CORE, &limit);
    return static_cast<int>(limit.rlim_max);
  };
  CHECK(code_of(options, core) == 0);
}

TEST_CASE("sandbox: a limit that is lower already stays, for who may not raise it too",
          "[system]") {
  const auto lower_before = [](rlim_t before) {
    return [before] {
      const rlimit lower{.rlim_cur = before, .rlim_max = before};
      if (setrlimit(RLIMIT_NOFILE, &lower) != 0) return 90;
      if (geteuid() == 0 && setuid(65534) != 0) return 91;
      enter_sandbox({.open_files = 32});
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      return static_cast<int>(limit.rlim_max);
    };
  };
  CHECK(code_of({.open_files = 256}, lower_before(20)) == 20);
  CHECK(code_of({.open_files = 256}, lower_before(40)) == 32);  // the control
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("sandbox: memory is limited", "[system]") {
  const auto allocate = [](std::int64_t bytes) {
    return [bytes] {
      const auto memory = std::make_unique<char[]>(static_cast<std::size_t>(bytes));
      return static_cast<int>(memory[static_cast<std::size_t>(bytes / 2)]);
    };
  };
  CHECK(code_of({.memory = 256 * kMiB}, allocate(64 * kMiB)) == 0);
  CHECK(code_of({.memory = 256 * kMiB}, allocate(512 * kMiB)) == 98);
  CHECK(code_of({.memory = 1024 * kMiB}, allocate(512 * kMiB)) == 0);
}
#endif

TEST_CASE("sandbox: calls that are refused", "[system]") {
  const SandboxOptions plugin{};
  if (code_of(plugin, [] { return 0; }) != 0) {
    WARN("skipped: this kernel takes no filter");
    return;
  }
  const SandboxOptions script{.may_execute = true};
  const auto opens_socket = [] { return error_of(socket(AF_INET, SOCK_STREAM, 0)); };
  CHECK(opens_socket() == 0);  // the control
  CHECK(code_of(plugin, opens_socket) == EPERM);
  CHECK(code_of(script, opens_socket) == EPERM);
  CHECK(code_of(plugin, [] {
          int ends[2];
          return error_of(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        }) == 0);
  CHECK(code_of(plugin, [] { return error_of(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }) ==
        EPERM);
  CHECK(code_of(script, [] { return error_of(setsid()); }) == EPERM);
  CHECK(code_of(script, [] { return error_of(setpgid(0, 0)); }) == EPERM);
  const auto executes = [] {
    execl("/bin/sh", "sh", "-c", "exit 7", nullptr);
    return errno;
  };
  CHECK(code_of(plugin, executes) == EPERM);
  CHECK(code_of(script, executes) == 7);
  const auto signals_parent = [] { return error_of(kill(getppid(), 0)); };
  CHECK(code_of(plugin, signals_parent) == EPERM);
  CHECK(code_of(script, signals_parent) == 0);
  // The control: a level without the filter.
  CHECK(code_of({.level = Isolation::limits}, opens_socket) == 0);
  CHECK(code_of({.level = Isolation::limits}, signals_parent) == 0);
  CHECK(code_of(script, [] { return error_of(unshare(CLONE_NEWUSER)); }) == EPERM);
  const auto clones = [](unsigned long flags) {
    return [flags] { return error_of(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0)); };
  };
  CHECK(code_of(script, clones(CLONE_NEWUSER)) == EPERM);
  CHECK(code_of(script, clones(CLONE_NEWNET | CLONE_NEWUSER)) == EPERM);
  CHECK(code_of(script, clones(0)) == 0);
  CHECK(code_of(script, [] { return error_of(syscall(SYS_clone3, nullptr, 0)); }) == ENOSYS);
  CHECK(code_of(script, [] { return error_of(syscall(SYS_io_uring_setup, 1, nullptr)); }) == EPERM);
  const auto types_a_key = [] { return error_of(ioctl(2, TIOCSTI, "x")); };
  CHECK(code_of(script, types_a_key) == EPERM);
  CHECK(code_of(plugin, [] { return raise(SIGUSR1); }) == -SIGUSR1);
  CHECK(code_of(plugin, []() -> int { abort(); }) == -SIGABRT);
}

TEST_CASE("sandbox: at none nothing is limited", "[system]") {
  CHECK(code_of({.level = Isolation::none, .open_files = 5}, [] { return dup(0) < 0 ? 1 : 0; }) ==
        0);
  CHECK(code_of({.level = Isolation::none},
                [] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }) == 0);
}

TEST_CASE("sandbox: no new privileges, and death with the parent", "[system]") {
  CHECK(code_of({}, [] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }) == 1);
  CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
  CHECK(code_of({}, [] {
          int signal = 0;
          prctl(PR_GET_PDEATHSIG, &signal);
          return signal;
        }) == SIGKILL);
}

TEST_CASE("sandbox: every level has a name", "[system]") {
  CHECK(isolation_name(Isolation::none) == "none");
  CHECK(isolation_name(Isolation::limits) == "limits");
  CHECK(isolation_name(Isolation::seccomp) == "seccomp");
  CHECK(isolation_name(Isolation::full) == "full");
  for (const Isolation level :
       {Isolation::none, Isolation::limits, Isolation::seccomp, Isolation::full})
    CHECK(parse_isolation(isolation_name(level)) == level);
  CHECK_THROWS_AS(parse_isolation("half"), std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
