// A child process and the one channel to it, with a deadline for every word and an end that is
// decoded.
//
// The child leads a process group of its own, has no descriptor of this process's but those named
// here and no more of its environment than it is given. Started by posix_spawn, which copies no
// memory and runs no code of ours between fork and exec: safe beside threads, cheap beside a model.
// What the child may use is system/sandbox.h's matter.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "system/file.h"

namespace zeroth {

/// How a process ended.
struct ExitStatus {
  int code = 0;    // where signal is 0
  int signal = 0;  // that ended it
  /// "killed by SIGSEGV (segmentation fault)" or "exit code 3".
  std::string text() const;
};

/// "NAME=value" of those variables of this process that are set, in this order.
std::vector<std::string> environment_of(std::span<const char* const> names);

/// Why a child could not be spoken to.
class ChildError : public std::runtime_error {
 public:
  enum class Kind { ended, deadline };
  ChildError(Kind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

class ChildProcess {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  enum class Channel {
    standard_io,  // the child's standard input and output
    apart,        // the child's descriptor 3; its standard input is empty, its standard output is
                  // this process's standard error, so that what it prints breaks nothing
  };
  static constexpr int kChannel = 3;
  /// Apart, a descriptor of the child's to read: at its end when this process or the ChildProcess
  /// is gone, however it went.
  static constexpr int kLifeline = 4;

  struct Options {
    Channel channel = Channel::standard_io;
    /// Of the child, NAME=value each; unset: this process's.
    std::optional<std::vector<std::string>> environment = {};
    /// In messages; empty: arguments[0].
    std::string name = {};
    /// Called about twenty times a second while the child is waited for. What it throws ends the
    /// wait.
    std::function<void()> on_wait = {};
  };

  /// Starts arguments[0] (found in PATH). Throws std::system_error when it cannot be started.
  ChildProcess(const std::vector<std::string>& arguments, Options options);
  /// Kills the child's whole process group, and waits for the child.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Sends all of `bytes`. ChildError when the child has ended or takes them too slowly.
  void send(std::string_view bytes, Deadline deadline);
  /// Receives exactly `size` bytes. ChildError as above; a child that ends while another process
  /// keeps its end of the channel open has ended.
  std::string receive(std::size_t size, Deadline deadline);
  /// At least one byte and at most `most`.
  std::string receive_some(std::size_t most, Deadline deadline);

  /// Whether there is something to receive already.
  bool has_bytes() const;

  /// Lets the child use so much more time of processors, all its threads together, before SIGXCPU
  /// ends it; or `process`, which the child has started. Processes that these have started count on
  /// their own, from the limit at their start.
  void limit_cpu(std::chrono::seconds more, std::optional<pid_t> process = std::nullopt);

  /// Ends the lifeline, where the child has one, and gives it a second to end all that it has
  /// started; kills the process group, and waits for the child. The status is that of a child that
  /// had ended by itself, if it had.
  ExitStatus kill();

  /// The status of a child that ends by itself before the deadline; nullopt when it does not.
  std::optional<ExitStatus> wait(Deadline deadline);

  pid_t pid() const { return pid_; }

 private:
  bool has_ended();
  bool poll_channel(short events, Deadline deadline) const;

  std::string name_;
  std::function<void()> on_wait_;
  Channel channel_is_;
  pid_t pid_ = -1;
  std::optional<ExitStatus> status_;  // once it has been waited for
  FileDescriptor channel_;
  FileDescriptor lifeline_;
};

}  // namespace zeroth
