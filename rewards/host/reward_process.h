// The process that a reward lives in, seen from outside: started, greeted, asked, and how it ended.
// reward_child.h is its inside.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "rewards/host/host_protocol.h"
#include "rewards/reward.h"
#include "system/child_process.h"
#include "system/sandbox.h"

namespace zeroth {

/// How the processes of rewards are run.
struct RewardHost {
  /// A program whose command `reward-host` is run_reward_child (reward_child.h). By default this
  /// very program, the same even when its file has been replaced.
  std::string program = "/proc/self/exe";
  std::string python = "python3";               // for scripts; found in PATH
  std::string parameters = "{}";                // JSON object: what reward_config says of it
  double timeout = 10.0;                        // seconds of one call
  std::int64_t memory = std::int64_t{4} << 30;  // bytes of private memory of each process
  std::int64_t workers = 1;                     // processes of one reward
  /// How far processes are held: this level, or where it cannot be reached the next below, down to
  /// sandbox_min.
  Isolation sandbox = Isolation::full;
  Isolation sandbox_min = Isolation::limits;
  std::vector<std::string> readable = {};  // at `full`, beside what sandbox_of (reward_view.h) adds
  std::vector<std::string> hidden = {};    // at `full`, within that
  /// Called about twenty times a second while a reward is waited for, by one thread at a time. What
  /// it throws ends the wait and the process, and passes through: a request to stop need not wait
  /// for a reward that hangs.
  std::function<void()> check_stop = {};
};

/// What serves a reward in its process.
struct HostedProgram {
  std::vector<std::string> arguments;      // kind, file and what else reward_child.cpp reads
  bool executes = false;                   // other programs
  std::vector<std::string> programs = {};  // interpreters among these; found in PATH
  std::vector<std::string> files = {};     // that it is told to read, where they exist
};

class RewardProcess {
 public:
  static constexpr auto kStartTime = std::chrono::seconds(120);  // a script may import much

  /// SandboxError where the sandbox's level is not reached; ChildError and ProtocolError as for
  /// what follows.
  RewardProcess(const RewardHost& host, const std::string& file, const HostedProgram& program,
                const SandboxOptions& sandbox);

  /// What it says of itself once the reward is loaded; to be asked first.
  HostGreeting greeting();

  /// A call, within the host's timeout. ChildError when there is no answer, ProtocolError for one
  /// that is none.
  HostReply ask(std::span<const RewardItem> items);

  /// It has not been asked yet.
  bool is_fresh() const { return fresh_; }

  /// How the process ended, as the outcome of what it was asked.
  RewardOutcome end(const ChildError& error);

 private:
  std::string receive(ChildProcess::Deadline deadline);

  ChildProcess process_;
  double timeout_;
  std::int64_t memory_;
  pid_t reward_process_ = 0;  // which the child has started
  std::uint64_t call_ = 0;
  bool fresh_ = true;
};

/// "0.5 s".
std::string text_of_seconds(double time);

}  // namespace zeroth
