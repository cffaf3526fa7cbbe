#include "rewards/host/reward_child.h"

#include <unistd.h>

#include <charconv>
#include <functional>
#include <iterator>
#include <string_view>

#include "rewards/host/host_protocol.h"
#include "rewards/host/plugin_host.h"
#include "rewards/host/program_host.h"
#include "rewards/host/script_host.h"
#include "system/child_process.h"
#include "system/error.h"
#include "system/sandbox_keeper.h"

namespace zeroth {
namespace {

constexpr int kChannel = ChildProcess::kChannel;

class Arguments {
 public:
  explicit Arguments(std::vector<std::string> list) : list_(std::move(list)) {}

  std::string next() {
    if (at_ == list_.size()) refuse();
    return list_[at_++];
  }
  std::int64_t number() {
    const std::string text = next();
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || value < 0) refuse();
    return value;
  }
  std::vector<std::string> several() {
    std::vector<std::string> values;
    for (std::int64_t left = number(); left > 0; --left) values.push_back(next());
    return values;
  }
  /// At least one.
  std::vector<std::string> rest() {
    std::vector<std::string> values = {next()};
    while (at_ < list_.size()) values.push_back(next());
    return values;
  }
  void end() const {
    if (at_ != list_.size()) refuse();
  }
  [[noreturn]] void refuse() const {
    throw InputError({.source = "reward-host",
                      .field = "",
                      .expected = "to be started by zeroth itself, for a reward of reward_funcs",
                      .actual = std::to_string(list_.size()) + " arguments"});
  }

 private:
  std::vector<std::string> list_;
  std::size_t at_ = 0;
};

SandboxOptions read_sandbox(Arguments& arguments) {
  SandboxOptions options;
  const std::int64_t level = arguments.number();
  if (level > static_cast<std::int64_t>(Isolation::full)) arguments.refuse();
  options.level = static_cast<Isolation>(level);
  for (std::int64_t* field :
       {&options.memory, &options.file_size, &options.open_files, &options.processes})
    *field = arguments.number();
  options.may_execute = arguments.number() == 1;
  options.directory = arguments.next();
  options.readable = arguments.several();
  options.hidden = arguments.several();
  return options;
}

// What serves, once it is in the sandbox.
std::function<void()> read_program(Arguments& arguments) {
  const std::string kind = arguments.next();
  if (kind == "program") {
    const std::string parameters = arguments.next();
    const std::string file = arguments.next();
    return [=, command = arguments.rest()] { serve_program(file, command, parameters, kChannel); };
  }
  const std::string file = arguments.next();
  if (kind == "plugin") {
    const std::string parameters = arguments.next();
    return [=] { serve_plugin(file, parameters, kChannel); };
  }
  if (kind != "script") arguments.refuse();
  const std::string function = arguments.next();
  const std::string python = arguments.next();
  const std::string parameters = arguments.next();
  return [=] { serve_script(python, file, function, parameters, kChannel); };
}

// A few hundred bytes into an empty socket go in at once, or the reader is gone.
void say(const HostStart& start) {
  const std::string bytes = frame(0, encode(start));
  if (write(kChannel, bytes.data(), bytes.size()) < 0) _exit(1);
}

}  // namespace

std::vector<std::string> sandbox_arguments(const SandboxOptions& options) {
  std::vector<std::string> list = {std::to_string(static_cast<int>(options.level)),
                                   std::to_string(options.memory),
                                   std::to_string(options.file_size),
                                   std::to_string(options.open_files),
                                   std::to_string(options.processes),
                                   std::to_string(options.may_execute ? 1 : 0),
                                   options.directory};
  for (const auto* paths : {&options.readable, &options.hidden}) {
    list.push_back(std::to_string(paths->size()));
    std::copy(paths->begin(), paths->end(), std::back_inserter(list));
  }
  return list;
}

int run_reward_child(int argc, char** argv) {
  Arguments arguments(std::vector<std::string>(argv + 1, argv + argc));
  const SandboxOptions sandbox = read_sandbox(arguments);
  const std::function<void()> serve = read_program(arguments);
  arguments.end();
  try {
    keep_sandboxed(sandbox, {.lifeline = ChildProcess::kLifeline,
                             .channel = kChannel,
                             .started =
                                 [](pid_t process) {
                                   say({.in_sandbox = true, .reason = "", .process = process});
                                 },
                             .run =
                                 [&] {
                                   serve();
                                   return 0;
                                 }});
  } catch (const SandboxError& error) {
    say({.in_sandbox = false, .reason = error.what(), .process = 0});
    return 1;
  }
}

}  // namespace zeroth
