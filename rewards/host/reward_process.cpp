#include "rewards/host/reward_process.h"

#include <signal.h>

#include <algorithm>
#include <thread>

#include "rewards/host/reward_child.h"
#include "system/sandbox_keeper.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr auto kEndTime = seconds(1);  // from the end of the channel to that of the process

// What a reward may need to find its libraries, and nothing that could be a secret.
constexpr const char* kEnvironment[] = {"PATH",   "HOME",       "LANG",        "LC_ALL",
                                        "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
                                        "TZ"};

std::vector<std::string> environment() {
  // The order of Python's sets and of what is hashed is the same in every process.
  std::vector<std::string> list = {"PYTHONHASHSEED=0", "PYTHONUNBUFFERED=1"};
  for (std::string& variable : environment_of(kEnvironment)) list.push_back(std::move(variable));
  return list;
}

ChildProcess::Deadline in(double time) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(std::min(time, 1e6)));
}

std::vector<std::string> command(const RewardHost& host, const HostedProgram& program,
                                 const SandboxOptions& sandbox) {
  std::vector<std::string> list = {host.program, "reward-host"};
  for (const auto& part : {sandbox_arguments(sandbox), program.arguments})
    list.insert(list.end(), part.begin(), part.end());
  return list;
}

}  // namespace

std::string text_of_seconds(double time) {
  std::string text = std::to_string(time);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

RewardProcess::RewardProcess(const RewardHost& host, const std::string& file,
                             const HostedProgram& program, const SandboxOptions& sandbox)
    : process_(command(host, program, sandbox), {.channel = ChildProcess::Channel::apart,
                                                 .environment = environment(),
                                                 .name = "the process of " + file,
                                                 .on_wait = host.check_stop}),
      timeout_(host.timeout),
      memory_(sandbox.memory) {
  const HostStart start = decode_start(receive(Clock::now() + kStartTime));
  if (!start.in_sandbox) throw SandboxError(start.reason);
  reward_process_ = static_cast<pid_t>(start.process);
}

HostGreeting RewardProcess::greeting() {
  return decode_greeting(receive(Clock::now() + kStartTime));
}

HostReply RewardProcess::ask(std::span<const RewardItem> items) {
  fresh_ = false;
  ++call_;
  if (process_.has_bytes()) throw ProtocolError("it said more than it was asked");
  // The deadline is what counts; this is for what the reward's process has started and left.
  const auto cores = std::max(1U, std::thread::hardware_concurrency());
  process_.limit_cpu(seconds(static_cast<std::int64_t>(std::min(timeout_, 1e6)) + 1) * cores,
                     reward_process_);
  const auto deadline = in(timeout_);
  process_.send(frame(call_, encode_request(items)), deadline);
  return decode_reply(receive(deadline), items.size());
}

RewardOutcome RewardProcess::end(const ChildError& error) {
  if (error.kind() == ChildError::Kind::deadline)
    return {.result = RewardResult::hang,
            .message = "no answer within " + text_of_seconds(timeout_)};
  const auto status = process_.wait(Clock::now() + kEndTime);
  if (!status) return {.result = RewardResult::garbled, .message = "it closed its channel"};
  if (status->signal == 0 && status->code == kTooMuchExit)
    return {.result = RewardResult::memory,
            .message = "all its processes held more than " + std::to_string(memory_) +
                       " bytes, or were too many"};
  if (status->signal == SIGXCPU) return {.result = RewardResult::hang, .message = status->text()};
  return {.result = status->signal != 0 ? RewardResult::crash : RewardResult::exit,
          .message = status->text()};
}

std::string RewardProcess::receive(ChildProcess::Deadline deadline) {
  const FrameHeader header = read_frame_header(process_.receive(kFrameHeader, deadline), kMaxReply);
  check_call(header, call_);
  return process_.receive(header.size, deadline);
}

}  // namespace zeroth
