// An interpreter that chat templates can be rendered with: of .venv (tools/setup --interop), of
// .venv-readers (tools/setup --readers), or the system's.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace zeroth::testing {

/// Empty where none has a jinja2 that is new enough: what needs one says so and passes.
inline std::string python_with_jinja() {
  const auto in = [](const char* variable, const char* otherwise) {
    const char* value = std::getenv(variable);
    return std::string(value == nullptr ? otherwise : value) + "/bin/python";
  };
  for (const std::string& python :
       {in("ZEROTH_VENV", ZEROTH_SOURCE_DIR "/.venv"),
        in("ZEROTH_READERS", ZEROTH_SOURCE_DIR "/.venv-readers"), std::string("python3")}) {
    if (python.find('/') != std::string::npos && !std::filesystem::exists(python)) continue;
    const std::string command =
        "'" + python +
        "' -c 'import jinja2, sys; sys.exit(jinja2.__version__ < \"3.1.6\")' 2>/dev/null";
    if (std::system(command.c_str()) == 0) return python;
  }
  return "";
}

}  // namespace zeroth::testing
