#include "rewards/reward_child.h"

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/plugin_host.h"
#include "rewards/program_host.h"
#include "rewards/script_host.h"
#include "system/child_process.h"
#include "system/error.h"

namespace zeroth {

int run_reward_child(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  SandboxOptions sandbox;
  const auto is = [&](std::string_view kind, std::size_t size) {
    if (arguments.size() < size || (kind != "program" && arguments.size() > size) ||
        arguments[0] != kind)
      return false;
    const std::string& memory = arguments[1];
    const char* end = memory.data() + memory.size();
    const auto [stop, error] = std::from_chars(memory.data(), end, sandbox.memory);
    return error == std::errc() && stop == end;
  };
  if (is("plugin", 4)) {
    end_group_with(ChildProcess::kLifeline);
    serve_plugin(arguments[2], arguments[3], enter_sandbox(sandbox), ChildProcess::kChannel);
    return 0;
  }
  sandbox.may_execute = true;
  if (is("script", 6)) {
    end_group_with(ChildProcess::kLifeline);
    serve_script(arguments[4], arguments[2], arguments[3], arguments[5], enter_sandbox(sandbox),
                 ChildProcess::kChannel);
    return 0;
  }
  if (is("program", 4)) {
    end_group_with(ChildProcess::kLifeline);
    serve_program({arguments.begin() + 3, arguments.end()}, arguments[2], enter_sandbox(sandbox),
                  ChildProcess::kChannel);
    return 0;
  }
  throw InputError({.source = "reward-host",
                    .field = "",
                    .expected = "to be started by zeroth itself, for a reward of reward_funcs",
                    .actual = std::to_string(arguments.size()) + " arguments"});
}

}  // namespace zeroth
