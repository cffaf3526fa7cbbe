#include "system/sandbox_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "system/control_group.h"
#include "system/file.h"
#include "system/private_root.h"
#include "system/sandbox_usage.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kCountEvery = milliseconds(50);

// What a control group may hold beyond SandboxOptions::memory: pages of files, of the kernel and of
// what is shared count there, too. It is for what comes between two counts.
std::int64_t group_memory(std::int64_t memory) {
  return memory + memory / 8 + (std::int64_t{64} << 20);
}

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Pipe {
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
    read = FileDescriptor(ends[0]);
    write = FileDescriptor(ends[1]);
  }
  FileDescriptor read, write;
};

void write_file(const char* path, const std::string& text) {
  const FileDescriptor file(open(path, O_WRONLY | O_CLOEXEC));
  if (!file.is_open() || write(file.get(), text.data(), text.size()) < 0) fail(path);
}

// What the first process of a pid namespace is for: when it ends, the kernel kills all others.
[[noreturn]] void be_first(int lifeline) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  signal(SIGCHLD, SIG_IGN);  // so that what was orphaned goes when it is dead
  prctl(PR_SET_DUMPABLE, 0);
  if (dup2(lifeline, 0) != 0) _exit(1);
  closefrom(1);
  char byte;
  while (read(0, &byte, 1) < 0 && errno == EINTR) {
  }
  _exit(0);
}

// Says over a pipe that all went well, or what did not.
constexpr std::string_view kWell = "\n";

bool say(int pipe, std::string_view text) {
  return write(pipe, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// SandboxError with what was said, unless all went well.
void hear(int pipe) {
  std::string said;
  char bytes[512];
  for (ssize_t n; (n = read(pipe, bytes, sizeof bytes)) != 0;) {
    if (n > 0) said.append(bytes, static_cast<std::size_t>(n));
    if (said == kWell) return;
    if (n < 0 && errno != EINTR) break;
  }
  throw SandboxError(said.empty() ? "a process of the sandbox ended as it began" : said);
}

// The ids that this namespace has, each as itself: "0 0 4294967295".
std::string identity_of(const char* map) {
  std::ifstream in(map);
  std::string text;
  for (std::string inside, outside, count; in >> inside >> outside >> count;)
    text += inside + " " + inside + " " + count + "\n";
  return text;
}

// Everybody stays who they are, so that files have the owners they had. A user may map itself
// alone; for root, somebody who stays outside maps all, so that the process can be nobody there.
void enter_namespaces() {
  const bool is_root = geteuid() == 0;
  const std::string self = "/proc/" + std::to_string(getpid());
  Pipe unshared, mapped;
  const pid_t outside = is_root ? fork() : -1;
  if (outside == 0) {
    try {
      hear(unshared.read.get());
      write_file((self + "/uid_map").c_str(), identity_of("/proc/self/uid_map"));
      write_file((self + "/gid_map").c_str(), identity_of("/proc/self/gid_map"));
      say(mapped.write.get(), kWell);
    } catch (const std::exception& error) {
      say(mapped.write.get(), error.what());
    }
    _exit(0);
  }
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
              CLONE_NEWUTS) != 0)
    fail("unshare");
  if (is_root) {
    mapped.write = FileDescriptor();
    say(unshared.write.get(), kWell);
    hear(mapped.read.get());
    waitpid(outside, nullptr, 0);
    return;
  }
  const std::string user = std::to_string(geteuid()), group = std::to_string(getegid());
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", user + " " + user + " 1");
  write_file("/proc/self/gid_map", group + " " + group + " 1");
}

// Forks the first process of the namespace, which makes the root.
pid_t start_first(const SandboxOptions& options, int lifeline) {
  Pipe said;
  const pid_t first = fork();
  if (first < 0) fail("fork");
  if (first == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      enter_private_root({.readable = options.readable,
                          .hidden = options.hidden,
                          .scratch = std::min(options.memory, options.file_size)});
      if (say(said.write.get(), kWell)) be_first(lifeline);
    } catch (const std::exception& error) {
      say(said.write.get(), error.what());
    }
    _exit(1);
  }
  said.write = FileDescriptor();
  hear(said.read.get());
  return first;
}

struct Handshake {
  Pipe entered, go;
};

// The process itself, from the fork on.
[[noreturn]] void run_kept(const SandboxOptions& options, const KeptProcess& kept,
                           const Handshake& handshake, int output) {
  try {
    // A session of its own: a signal to "my group" is to nobody else.
    if (options.level == Isolation::full && setsid() < 0) fail("setsid");
    if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) fail("dup2");
    setvbuf(stdout, nullptr, _IOLBF, 0);  // what it prints before it crashes is read
    enter_sandbox(options);
    char byte;
    // Where the keeper is gone, so is this.
    if (!say(handshake.entered.write.get(), kWell) || read(handshake.go.read.get(), &byte, 1) != 1)
      _exit(1);
  } catch (const std::exception& error) {
    say(handshake.entered.write.get(), error.what());
    _exit(1);
  }
  if (dup2(kept.channel, 3) < 0 || fcntl(3, F_SETFD, 0) < 0) _exit(1);
  closefrom(4);
  int code = 1;
  try {
    code = kept.run();
  } catch (const std::exception& error) {
    dprintf(STDERR_FILENO, "%s\n", error.what());
  }
  fflush(stdout);
  _exit(code);
}

class Keeper {
 public:
  Keeper(const SandboxOptions& options, int lifeline) : options_(options), lifeline_(lifeline) {
    fcntl(output_.read.get(), F_SETFL, O_NONBLOCK);
  }

  void start(const KeptProcess& kept) {
    if (options_.level == Isolation::full) {
      // While groups can be seen, and made with the rights of outside.
      group_ = ControlGroup::make(
          {.memory = group_memory(options_.memory), .processes = options_.processes});
      try {
        enter_namespaces();
        first_ = start_first(options_, lifeline_);
      } catch (const std::system_error& error) {
        throw SandboxError(error.what());
      }
      setenv("TMPDIR", "/tmp", 1);
      stay_or_go_to(options_.directory);
    } else if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
      fail("prctl");
    }
    Handshake handshake;
    process_ = fork();
    if (process_ < 0) fail("fork");
    if (process_ == 0) run_kept(options_, kept, handshake, output_.write.get());
    prctl(PR_SET_DUMPABLE, 0);
    for (FileDescriptor* own : {&output_.write, &handshake.entered.write, &handshake.go.read})
      *own = FileDescriptor();
    hear(handshake.entered.read.get());
    ended_ = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, process_, 0)));
    if (!ended_.is_open()) fail("pidfd_open");
    if (group_ && !group_->add(process_)) group_.reset();
    kept.started(process_);
    close(kept.channel);
    say(handshake.go.write.get(), "g");
  }

  // Until the process ends, the lifeline does, or too much is held.
  void watch() {
    const bool counts = options_.level == Isolation::full;
    auto next_count = Clock::now() + kCountEvery;
    for (;;) {
      pollfd fds[] = {{lifeline_, POLLIN, 0},
                      {ended_.get(), POLLIN, 0},
                      {output_ended_ ? -1 : output_.read.get(), POLLIN, 0}};
      poll(fds, 3, counts ? static_cast<int>(kCountEvery.count()) : -1);
      if (fds[2].revents != 0) pass_on();
      if (fds[0].revents != 0 || fds[1].revents != 0) return;
      if (!counts || Clock::now() < next_count) continue;
      too_much_ = ran_out() || holds_more_than(options_.memory);
      if (too_much_) return;
      next_count = Clock::now() + kCountEvery;
    }
  }

  [[noreturn]] void end() {
    siginfo_t info{};
    kill(process_, SIGKILL);
    while (waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED) != 0 && errno == EINTR) {
    }
    if (first_ > 0) {
      kill(first_, SIGKILL);
      // The namespace's first process ends when all others have.
      while (waitpid(first_, nullptr, 0) < 0 && errno == EINTR) {
      }
    } else {
      end_adopted();
    }
    while (pass_on()) {
    }
    too_much_ = too_much_ || ran_out();
    group_.reset();
    if (too_much_) _exit(kTooMuchExit);
    if (info.si_code == CLD_EXITED) _exit(info.si_status);
    signal(info.si_status, SIG_DFL);
    kill(getpid(), info.si_status);
    _exit(128 + info.si_status);
  }

 private:
  bool ran_out() const { return group_ && group_->ran_out(); }

  // What the process started is this one's child when its own parent is dead.
  static void end_adopted() {
    for (;;) {
      std::ifstream children("/proc/thread-self/children");
      for (pid_t child; children >> child;) kill(child, SIGKILL);
      if (waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    }
  }

  static void stay_or_go_to(const std::string& directory) {
    char here[4096];
    const bool visible = getcwd(here, sizeof here) != nullptr && here[0] == '/' && chdir(here) == 0;
    if (!visible && (directory.empty() || chdir(directory.c_str()) != 0) && chdir("/tmp") != 0)
      fail("chdir");
  }

  // What there is to read, at most once; false when there is nothing.
  bool pass_on() {
    char bytes[1 << 14];
    const ssize_t n = read(output_.read.get(), bytes, sizeof bytes);
    output_ended_ = n == 0;
    if (n <= 0) return false;
    const auto left = static_cast<std::size_t>(std::max<std::int64_t>(kMostOutput - passed_on_, 0));
    passed_on_ += n;
    if (write(STDERR_FILENO, bytes, std::min(static_cast<std::size_t>(n), left)) < 0)
      passed_on_ = kMostOutput + n;
    else if (left > 0 && passed_on_ >= kMostOutput)
      dprintf(STDERR_FILENO, "\n[what it prints beyond %lld bytes is dropped]\n",
              static_cast<long long>(kMostOutput));
    return true;
  }

  const SandboxOptions& options_;
  int lifeline_;
  Pipe output_;
  bool output_ended_ = false;
  std::int64_t passed_on_ = 0;
  pid_t first_ = -1, process_ = -1;
  FileDescriptor ended_;
  std::optional<ControlGroup> group_;
  bool too_much_ = false;
};

}  // namespace

void keep_sandboxed(const SandboxOptions& options, const KeptProcess& kept) {
  if (fcntl(kept.lifeline, F_GETFD) < 0) fail("the lifeline");
  // It ends by the signal that ended the process, and that is no fault of its own to look into.
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &no_core);
  Keeper keeper(options, kept.lifeline);
  keeper.start(kept);
  keeper.watch();
  keeper.end();
}

}  // namespace zeroth
