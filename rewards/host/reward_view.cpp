#include "rewards/host/reward_view.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "system/program_files.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostOfALine = 256;  // that names an interpreter, as the kernel has it
constexpr int kMostLinks = 16;             // that lead to an interpreter

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  for (std::size_t first = 0; first <= text.size();) {
    const std::size_t end = std::min(text.find(at, first), text.size());
    parts.push_back(text.substr(first, end - first));
    first = end + 1;
  }
  return parts;
}

class View {
 public:
  explicit View(const RewardHost& host) {
    for (const std::string& path : host.hidden) hidden_.push_back(resolved(path));
  }

  // A directory that something needs of.
  void add_directory(const fs::path& directory) {
    const fs::path here = resolved(directory);
    if (!is_wide(here)) return add(directory);
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
      std::error_code ignored;
      if (entry.is_regular_file(ignored) && !entry.path().filename().string().starts_with('.') &&
          !is_hidden(entry.path()))
        add(entry.path());
    }
  }

  void add_file(const fs::path& file) {
    add_directory(fs::absolute(file).parent_path());
    const fs::path target = resolved(file);
    if (target.parent_path() != resolved(fs::absolute(file).parent_path()))
      add_directory(target.parent_path());
    if (is_hidden(target.parent_path())) add(file);
  }

  // Of a list of directories, where an empty one is the present one.
  void add_list(const std::string& list) {
    if (list.empty()) return;
    for (const std::string& directory : split(list, ':'))
      add_directory(directory.empty() ? "." : directory);
  }

  // What an interpreter is installed in: PREFIX where it is PREFIX/bin/python3, of every link on
  // the way to it.
  void add_program(const std::string& name) {
    fs::path path = found_in_path(name);
    for (int links = 0; !path.empty() && links < kMostLinks; ++links) {
      std::error_code error;
      const bool is_link = fs::is_symlink(path, error);
      const fs::path prefix = path.parent_path().parent_path();
      const bool is_environment = fs::exists(prefix / "pyvenv.cfg", error);
      // And that of the interpreter that an environment was made by.
      for (const fs::path& home : environment_homes(prefix / "pyvenv.cfg"))
        add_directory(is_wide(home.parent_path()) ? home : home.parent_path());
      add_directory((is_link && !is_environment) || is_wide(resolved(prefix)) ? path.parent_path()
                                                                              : prefix);
      if (!is_link) return;
      path = path.parent_path() / fs::read_symlink(path, error);
    }
  }

  // "#!/usr/bin/env python3": what a script names in its first line.
  void add_interpreter_of(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    char begin[2] = {};
    if (!in.read(begin, 2) || begin[0] != '#' || begin[1] != '!') return;
    line.resize(kMostOfALine);
    in.read(line.data(), static_cast<std::streamsize>(line.size()));
    line.resize(std::min(static_cast<std::size_t>(in.gcount()), line.find('\n')));
    std::istringstream words(line);
    for (std::string word; words >> word;)
      if (!word.starts_with('-') && word.find('=') == std::string::npos) add_program(word);
  }

  void add(const fs::path& path) { readable_.push_back(fs::absolute(path).string()); }

  const std::vector<std::string>& readable() const { return readable_; }

 private:
  bool is_hidden(const fs::path& path) const {
    return std::find(hidden_.begin(), hidden_.end(), resolved(path)) != hidden_.end();
  }

  // Whether a directory holds what has nothing to do with what is needed of it.
  bool is_wide(const fs::path& directory) const {
    if (holds_homes(directory)) return true;
    for (const std::string& scratch : {std::string("/tmp"), std::string("/var/tmp"),
                                       std::string("/dev/shm"), variable("TMPDIR")})
      if (!scratch.empty() && resolved(scratch) == directory) return true;
    return is_hidden(directory);
  }

  std::vector<fs::path> hidden_;
  std::vector<std::string> readable_;
};

}  // namespace

SandboxOptions sandbox_of(const RewardHost& host, const std::string& file,
                          const HostedProgram& program) {
  SandboxOptions options{.level = host.sandbox, .memory = host.memory};
  options.may_execute = program.executes;
  View view(host);
  view.add_file(file);
  view.add_list(variable("PYTHONPATH"));
  view.add_list(variable("LD_LIBRARY_PATH"));
  if (const std::string environment = variable("VIRTUAL_ENV"); !environment.empty())
    view.add_directory(environment);
  if (const std::string home = variable("HOME"); !home.empty() && program.executes) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(home + "/.local/lib", error))
      if (entry.path().filename().string().starts_with("python")) view.add(entry.path());
  }
  for (const std::string& name : program.programs) view.add_program(name);
  if (program.executes) view.add_interpreter_of(file);
  for (const std::string& name : program.files)
    if (fs::is_regular_file(name)) view.add_file(name);
  for (const std::string& path : host.readable) view.add(path);
  options.readable = view.readable();
  for (const std::string& path : host.hidden) options.hidden.push_back(fs::absolute(path).string());
  options.directory = fs::absolute(file).parent_path().string();
  return options;
}

}  // namespace zeroth
