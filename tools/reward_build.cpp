// zeroth reward build: a plugin from its source, with CMake where that is there, else with the
// compiler. What they say is shown as they say it.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "rewards/plugin/reward_template.h"
#include "system/error.h"
#include "system/program_files.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/reward_commands.h"
#include "tools/reward_options.h"

extern char** environ;

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Command = std::vector<std::string>;

std::vector<fs::path> files(const fs::path& directory, const std::string& ending) {
  std::vector<fs::path> list;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    if (entry.path().extension() == ending) list.push_back(entry.path());
  return list;
}

// The one source beside its test.
fs::path source_of(const fs::path& directory) {
  std::vector<fs::path> sources;
  std::string names;
  for (const char* ending : {".c", ".cpp"}) {
    for (const fs::path& file : files(directory, ending)) {
      if (file.stem().string().ends_with("_test")) continue;
      sources.push_back(file);
      names += (names.empty() ? "" : ", ") + file.filename().string();
    }
  }
  if (sources.size() != 1)
    throw InputError({.source = directory.string(),
                      .field = "",
                      .expected = "a CMakeLists.txt, or one .c or .cpp file that is no test; a "
                                  "Python file and a program are not built",
                      .actual = names.empty() ? "neither" : names});
  return sources[0];
}

std::vector<Command> commands_for(const fs::path& directory) {
  const bool has_make = !found_in_path("make").empty();
  if (fs::exists(directory / "CMakeLists.txt") && !found_in_path("cmake").empty() &&
      (has_make || !found_in_path("ninja").empty())) {
    const std::string build = (directory / "build").string();
    Command configure = {"cmake", "-S", directory.string(), "-B", build, "--log-level=WARNING"};
    if (!has_make) configure.insert(configure.end(), {"-G", "Ninja"});
    return {configure, {"cmake", "--build", build}};
  }
  const fs::path source = source_of(directory);
  Command compile = plugin_build_command(source.string());
  if (const char* compiler = std::getenv(source.extension() == ".c" ? "CC" : "CXX"))
    compile[0] = compiler;
  return {compile};
}

// The exit code, 128 and the signal's number for one that was killed.
int run(const Command& command) {
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (error != 0) throw std::system_error(error, std::generic_category(), command[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string text_of(const Command& command) {
  std::string text;
  for (const std::string& part : command) {
    const bool plain = part.find_first_of(" \t\"'\\$&;|<>()*?`") == std::string::npos;
    text += (text.empty() ? "" : " ") + (plain ? part : "'" + part + "'");
  }
  return text;
}

}  // namespace

int run_reward_build(int argc, char** argv) {
  RewardBuildConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "reward build",
                                           .summary = "compile a reward in C or C++",
                                           .positional = "directory"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  const fs::path directory = config.directory;
  if (!fs::is_directory(directory))
    throw InputError({.source = "reward build",
                      .field = "directory",
                      .expected = "a directory that is there",
                      .actual = directory.string()});
  for (const Command& command : commands_for(directory)) {
    std::cout << text_of(command) << std::endl;
    if (options.dry_run) continue;
    const int code = run(command);
    if (code == 0) continue;
    std::cerr << "zeroth: " << command[0] << " ended with exit code " << code << "\n";
    return kExitFailed;
  }
  if (options.dry_run) return kExitDone;
  for (const fs::path& file : files(directory, ".so"))
    std::cout << "\nbuilt " << file.string() << "; next:\n\n  zeroth reward test "
              << (file.is_absolute() || file.string().starts_with('.') ? "" : "./") << file.string()
              << "\n";
  return kExitDone;
}

}  // namespace zeroth
