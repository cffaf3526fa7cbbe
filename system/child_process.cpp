#include "system/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <thread>

extern char** environ;

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A child's end shows on the channel at once, unless a process that it started holds the channel
// open: then within this time.
constexpr auto kLook = milliseconds(50);
constexpr auto kGrace = milliseconds(1000);  // from the end of its lifeline to that of a child

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct Ends {
  FileDescriptor own;
  FileDescriptor child;
};

// Above every descriptor that it becomes in the child, so that no dup2 meets its own source.
FileDescriptor high(int low) {
  FileDescriptor descriptor(fcntl(low, F_DUPFD_CLOEXEC, 16));
  if (!descriptor.is_open()) fail(errno, "fcntl");
  return descriptor;
}

// A socket and no pipe: one descriptor for both ways, and a write to a child that is gone is an
// error without a signal.
Ends make_channel() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail(errno, "socketpair");
  FileDescriptor own(ends[0]);
  const FileDescriptor low(ends[1]);
  FileDescriptor child = high(low.get());
  if (fcntl(own.get(), F_SETFL, O_NONBLOCK) != 0) fail(errno, "fcntl");
  return {.own = std::move(own), .child = std::move(child)};
}

// What the child reads, and this process alone could write to.
Ends make_lifeline() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(errno, "pipe");
  const FileDescriptor low(ends[0]);
  FileDescriptor own(ends[1]);
  return {.own = std::move(own), .child = high(low.get())};
}

class SpawnActions {
 public:
  SpawnActions(int channel, int lifeline, ChildProcess::Channel where) {
    posix_spawn_file_actions_init(&actions_);
    if (where == ChildProcess::Channel::standard_io) {
      posix_spawn_file_actions_adddup2(&actions_, channel, STDIN_FILENO);
      posix_spawn_file_actions_adddup2(&actions_, channel, STDOUT_FILENO);
      posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    } else {
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
      posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO);
      posix_spawn_file_actions_adddup2(&actions_, channel, ChildProcess::kChannel);
      posix_spawn_file_actions_adddup2(&actions_, lifeline, ChildProcess::kLifeline);
      posix_spawn_file_actions_addclosefrom_np(&actions_, ChildProcess::kLifeline + 1);
    }
  }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// A process group of the child's own, every signal as it is by default and none blocked.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

ExitStatus decode(int status) {
  if (WIFSIGNALED(status)) return {.code = 0, .signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace

std::vector<std::string> environment_of(std::span<const char* const> names) {
  std::vector<std::string> list;
  for (const char* name : names) {
    if (const char* value = std::getenv(name); value != nullptr)
      list.push_back(std::string(name) + "=" + value);
  }
  return list;
}

std::string ExitStatus::text() const {
  if (signal == 0) return "exit code " + std::to_string(code);
  const char* name = sigabbrev_np(signal);
  const char* description = sigdescr_np(signal);
  return "killed by " + (name == nullptr ? std::to_string(signal) : "SIG" + std::string(name)) +
         (description == nullptr ? "" : " (" + lower_case(description) + ")");
}

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, Options options)
    : name_(options.name.empty() ? arguments.at(0) : options.name),
      on_wait_(std::move(options.on_wait)),
      channel_is_(options.channel) {
  Ends ends = make_channel();
  Ends lifeline = make_lifeline();
  const SpawnActions actions(ends.child.get(), lifeline.child.get(), options.channel);
  const SpawnAttributes attributes;
  std::vector<char*> argv = pointers(arguments);
  std::vector<char*> environment;
  if (options.environment) environment = pointers(*options.environment);
  const int error = posix_spawnp(&pid_, argv[0], actions.get(), attributes.get(), argv.data(),
                                 options.environment ? environment.data() : environ);
  if (error != 0) fail(error, "starting " + arguments[0]);
  channel_ = std::move(ends.own);
  lifeline_ = std::move(lifeline.own);
}

ChildProcess::~ChildProcess() {
  kill();
}

void ChildProcess::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EPIPE || errno == ECONNRESET)
      throw ChildError(ChildError::Kind::ended, name_ + " ended before it read all of a message");
    if (errno != EAGAIN && errno != EINTR) fail(errno, "writing to " + name_);
    if (poll_channel(POLLOUT, deadline)) continue;
    if (has_ended())
      throw ChildError(ChildError::Kind::ended, name_ + " ended before it read all of a message");
    if (Clock::now() >= deadline)
      throw ChildError(ChildError::Kind::deadline, name_ + " does not read");
  }
}

std::string ChildProcess::receive_some(std::size_t most, Deadline deadline) {
  std::string bytes(most, '\0');
  for (bool last_look = false;;) {
    const ssize_t n = ::recv(channel_.get(), bytes.data(), most, 0);
    if (n > 0) {
      bytes.resize(static_cast<std::size_t>(n));
      return bytes;
    }
    if (n == 0 || errno == ECONNRESET || last_look)
      throw ChildError(ChildError::Kind::ended, name_ + " ended before it answered");
    if (errno != EAGAIN && errno != EINTR) fail(errno, "reading from " + name_);
    if (poll_channel(POLLIN, deadline)) continue;
    last_look = has_ended();  // what it said last may still have come
    if (!last_look && Clock::now() >= deadline)
      throw ChildError(ChildError::Kind::deadline, name_ + " does not answer");
  }
}

std::string ChildProcess::receive(std::size_t size, Deadline deadline) {
  // Grows with what comes: a size that a stranger named takes no memory by itself.
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  std::string bytes;
  while (bytes.size() < size) {
    bytes += receive_some(std::min(size - bytes.size(), kPiece), deadline);
    // One that says a byte now and then has said all by the deadline, or has not answered.
    if (bytes.size() < size && Clock::now() >= deadline)
      throw ChildError(ChildError::Kind::deadline, name_ + " has not said all");
  }
  return bytes;
}

bool ChildProcess::has_bytes() const {
  char byte;
  return ::recv(channel_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Until `events`, for at most kLook; false when nothing came.
bool ChildProcess::poll_channel(short events, Deadline deadline) const {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  pollfd poll_for{.fd = channel_.get(), .events = events, .revents = 0};
  const int count =
      ::poll(&poll_for, 1, static_cast<int>(std::clamp(left, milliseconds(0), kLook).count()));
  if (count < 0 && errno != EINTR) fail(errno, "poll");
  if (count <= 0 && on_wait_) on_wait_();
  return count > 0;
}

void ChildProcess::limit_cpu(std::chrono::seconds more, std::optional<pid_t> process) {
  const pid_t pid = process.value_or(pid_);
  clockid_t clock;
  timespec used{};
  // One that has ended needs no limit; the next word to it says that it has.
  if (has_ended()) return;
  const auto check = [&](int error) {
    if (error != 0 && error != ESRCH) fail(error, "limiting the processor time of " + name_);
    return error == 0;
  };
  if (!check(clock_getcpuclockid(pid, &clock))) return;
  // The clock of a process that has ended is no clock.
  if (clock_gettime(clock, &used) != 0 && !check(errno == EINVAL ? ESRCH : errno)) return;
  // The soft limit alone, so that the next call can raise it again.
  rlimit limit{};
  if (prlimit(pid, RLIMIT_CPU, nullptr, &limit) != 0 && !check(errno)) return;
  limit.rlim_cur = std::min(static_cast<rlim_t>(used.tv_sec + 1 + more.count()), limit.rlim_max);
  if (prlimit(pid, RLIMIT_CPU, &limit, nullptr) != 0) check(errno);
}

bool ChildProcess::has_ended() {
  if (status_) return true;
  siginfo_t info{};
  // It stays a zombie: its number, which is the group's, is not given to another meanwhile.
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid_;
}

ExitStatus ChildProcess::kill() {
  if (status_) return *status_;
  if (channel_is_ == Channel::apart) {
    lifeline_ = FileDescriptor();
    const FileDescriptor end(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    pollfd poll_for{.fd = end.get(), .events = POLLIN, .revents = 0};
    ::poll(&poll_for, 1, static_cast<int>(kGrace.count()));
  }
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = decode(status);
  return *status_;
}

std::optional<ExitStatus> ChildProcess::wait(Deadline deadline) {
  while (!has_ended()) {
    if (Clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return kill();
}

}  // namespace zeroth
