#include "rewards/host/line_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

#include "system/child_process.h"

extern char** environ;

namespace zeroth {
namespace {

constexpr std::size_t kMostLine = 1 << 16;
constexpr auto kEndTime = std::chrono::seconds(1);  // from the end of its output to its own
constexpr auto kLook = std::chrono::milliseconds(1);

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct Pipe {
  FileDescriptor read, write;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(errno, "pipe");
  return {.read = FileDescriptor(ends[0]), .write = FileDescriptor(ends[1])};
}

void set_nonblocking(const FileDescriptor& descriptor) {
  if (fcntl(descriptor.get(), F_SETFL, O_NONBLOCK) != 0) fail(errno, "fcntl");
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// The error of posix_spawn, 0 for none. A write to a program that is gone is an error here and no
// signal; the program has every signal as it is by default.
int spawn(pid_t& pid, std::vector<std::string> arguments, std::vector<std::string> environment,
          int in, int out) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  const int error = posix_spawn(&pid, arguments[0].c_str(), &actions, &attributes,
                                pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

RewardOutcome garbled(std::string message) {
  return {.result = RewardResult::garbled, .message = std::move(message)};
}

}  // namespace

LineProgram::LineProgram(const std::vector<std::string>& arguments, const std::string& variable) {
  std::vector<std::string> environment = {variable};
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  Pipe in = make_pipe(), out = make_pipe();
  const int error = spawn(pid_, arguments, environment, in.read.get(), out.write.get());
  if (error != 0) fail(error, arguments[0]);
  in_ = std::move(in.write);
  out_ = std::move(out.read);
  set_nonblocking(in_);
  set_nonblocking(out_);
}

LineProgram::~LineProgram() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

// What it no longer reads is let go: its answers may be there, or its end is.
void LineProgram::send_some(std::string_view& lines) {
  const ssize_t n = write(in_.get(), lines.data(), lines.size());
  if (n > 0) lines.remove_prefix(static_cast<std::size_t>(n));
  if (n < 0 && errno != EAGAIN && errno != EINTR) lines = {};
}

// False at the end of its output.
bool LineProgram::receive_some() {
  char bytes[1 << 14];
  const ssize_t n = read(out_.get(), bytes, sizeof bytes);
  if (n > 0) buffer_.append(bytes, static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool LineProgram::has_spoken() const {
  pollfd waiting{.fd = out_.get(), .events = POLLIN, .revents = 0};
  return !buffer_.empty() || (poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLIN) != 0);
}

LineAnswers LineProgram::ask(std::string_view lines, std::size_t count) {
  LineAnswers answers;
  if (count > 0 && has_spoken()) answers.failure = garbled("it said more than it was asked");
  std::size_t searched = 0;  // bytes of the buffer without an end of a line
  while (answers.lines.size() < count && !is_failure(answers.failure.result)) {
    pollfd waiting[] = {{.fd = out_.get(), .events = POLLIN, .revents = 0},
                        {.fd = in_.get(), .events = POLLOUT, .revents = 0}};
    if (poll(waiting, lines.empty() ? 1 : 2, -1) < 0 && errno != EINTR) fail(errno, "poll");
    if (!lines.empty() && waiting[1].revents != 0) send_some(lines);
    if (waiting[0].revents != 0 && !receive_some()) answers.failure = end();
    for (std::size_t at;
         answers.lines.size() < count && (at = buffer_.find('\n', searched)) != std::string::npos;
         searched = 0) {
      answers.lines.push_back(buffer_.substr(0, at));
      buffer_.erase(0, at + 1);
    }
    searched = buffer_.size();
    if (answers.lines.size() < count && buffer_.size() > kMostLine)
      answers.failure = garbled("a line of more than " + std::to_string(kMostLine) + " bytes");
  }
  if (answers.lines.size() == count) {
    answers.failure = {.result = RewardResult::scored};
    if (!buffer_.empty()) answers.failure = garbled("it said more than it was asked");
  }
  return answers;
}

RewardOutcome LineProgram::end() {
  const auto deadline = std::chrono::steady_clock::now() + kEndTime;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline)
      return garbled("it closed its standard output");
    std::this_thread::sleep_for(kLook);
  }
  pid_ = -1;
  const ExitStatus how{.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0};
  return {.result = how.signal != 0 ? RewardResult::crash : RewardResult::exit,
          .message = how.text()};
}

}  // namespace zeroth
