// The process that chat templates are rendered in, seen from inside.
#pragma once

#include <string>
#include <vector>

#include "system/sandbox.h"

namespace zeroth {

/// Arguments of run_template_host: the level of the sandbox, and who renders in it.
std::vector<std::string> template_host_arguments(Isolation level, const std::string& python);

/// `template-host LEVEL PYTHON`: starts the interpreter in a sandbox, says on descriptor 3 how that
/// went (a frame: empty, or what stood in the way) and has it serve there until that is closed.
/// Returns the exit code, or ends as the interpreter does.
int run_template_host(int argc, char** argv);

/// Bytes of memory of all that runs in the sandbox.
inline constexpr std::int64_t kTemplateMemory = std::int64_t{3} << 29;

}  // namespace zeroth
