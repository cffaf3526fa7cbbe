// Runs the zeroth binary as a user does.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace zeroth::testing {

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

/// Runs `zeroth arguments` in a shell, in the directory.
inline Outcome zeroth_command(const TemporaryDirectory& directory, const std::string& arguments) {
  const std::string out = (directory / "stdout").string();
  const std::string err = (directory / "stderr").string();
  const std::string command = "cd '" + directory.path().string() + "' && '" ZEROTH_BINARY "' " +
                              arguments + " >'" + out + "' 2>'" + err + "'";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A command with its flags; a change replaces a flag or adds one.
class Flags {
 public:
  Flags(std::string command, std::map<std::string, std::string> flags)
      : command_(std::move(command)), flags_(std::move(flags)) {}
  std::string with(const std::map<std::string, std::string>& changes) const {
    std::map<std::string, std::string> flags = flags_;
    for (const auto& [key, value] : changes) flags[key] = value;
    std::string text = command_;
    for (const auto& [key, value] : flags) text += " --" + key + " " + value;
    return text;
  }

 private:
  std::string command_;
  std::map<std::string, std::string> flags_;
};

}  // namespace zeroth::testing
