#include "rewards/host/script_host.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "rewards/embedded.h"
#include "rewards/host/host_protocol.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::string_view kPrefix = "python:";

struct ScriptName {
  std::string file;
  std::string function;
};

ScriptName parse(const std::string& name) {
  const std::string rest = name.substr(kPrefix.size());
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == rest.size())
    throw InputError({.source = "reward_funcs",
                      .field = "",
                      .expected = "python:FILE:FUNCTION",
                      .actual = name});
  return {.file = rest.substr(0, colon), .function = rest.substr(colon + 1)};
}

}  // namespace

bool names_script(std::string_view name) {
  return name.starts_with(kPrefix);
}

std::unique_ptr<HostedReward> make_script_reward(const std::string& name, const RewardHost& host) {
  const ScriptName script = parse(name);
  return std::make_unique<HostedReward>(
      host, script.file,
      HostedProgram{.arguments = {"script", std::filesystem::absolute(script.file).string(),
                                  script.function, host.python, host.parameters},
                    .executes = true,
                    .programs = {host.python}});
}

void serve_script(const std::string& python, const std::string& file, const std::string& function,
                  const std::string& parameters, int channel) {
  std::string arguments[] = {
      python,
      "-c",
      std::string(script_function_source()) + std::string(script_host_source()),
      file,
      function,
      parameters,
      std::to_string(channel)};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  const HostGreeting greeting{.field = "reward_python",
                              .expected = "a Python 3 interpreter",
                              .actual = python + ": " + std::strerror(errno)};
  const std::string bytes = frame(0, encode(greeting));
  // A few hundred bytes into an empty socket go in at once, or the reader is gone.
  if (write(channel, bytes.data(), bytes.size()) < 0) return;
}

}  // namespace zeroth
