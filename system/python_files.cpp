#include "system/python_files.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 16;  // that lead to an interpreter
constexpr const char* kScratch[] = {"/tmp", "/var/tmp", "/dev/shm"};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ':');)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

fs::path real(const fs::path& path) {
  std::error_code error;
  const fs::path found = fs::weakly_canonical(fs::absolute(path), error);
  return error ? fs::absolute(path).lexically_normal() : found;
}

bool holds(const fs::path& directory, const fs::path& path) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first ==
         directory.end();
}

// Whether a directory holds much that has nothing to do with an interpreter.
bool is_wide(const fs::path& directory) {
  const fs::path here = real(directory);
  const std::string home = variable("HOME");
  return here == "/home" || here.parent_path() == "/home" || holds(here, "/root") ||
         (!home.empty() && holds(here, real(home))) ||
         std::find(std::begin(kScratch), std::end(kScratch), here) != std::end(kScratch);
}

fs::path found_in_path(const std::string& program) {
  if (program.find('/') != std::string::npos) return fs::absolute(program);
  for (const std::string& directory : parts_of(variable("PATH"))) {
    const fs::path path = fs::absolute(directory) / program;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

class Files {
 public:
  void add(const fs::path& path) {
    if (!is_wide(path)) list_.push_back(fs::absolute(path).lexically_normal().string());
  }

  // PREFIX/bin/python3: the prefix, or where that holds other things too, the nearest that does
  // not.
  void add_installation(const fs::path& program) {
    const fs::path directory = program.parent_path(), prefix = directory.parent_path();
    add(!is_wide(prefix) ? prefix : !is_wide(directory) ? directory : program);
  }

  // "home = /usr/bin", of the interpreter that an environment was made by.
  void add_base_of(const fs::path& configuration) {
    std::ifstream in(configuration);
    for (std::string line; std::getline(in, line);) {
      const std::size_t equals = line.find('=');
      if (!line.starts_with("home") || equals == std::string::npos) continue;
      const std::size_t begin = line.find_first_not_of(' ', equals + 1);
      if (begin != std::string::npos) add_installation(real(line.substr(begin)) / "python3");
    }
  }

  void add_program(fs::path path) {
    for (int links = 0; !path.empty() && links < kMostLinks; ++links) {
      add_installation(path);
      add_base_of(path.parent_path().parent_path() / "pyvenv.cfg");
      std::error_code error;
      const fs::path target = fs::read_symlink(path, error);
      if (error) return;
      path = path.parent_path() / target;
    }
  }

  std::vector<std::string> take() { return std::move(list_); }

 private:
  std::vector<std::string> list_;
};

}  // namespace

std::vector<std::string> python_files(const std::string& python) {
  Files files;
  for (const char* list : {"PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"})
    for (const std::string& directory : parts_of(variable(list))) files.add(directory);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(variable("HOME") + "/.local/lib", error))
    if (entry.path().filename().string().starts_with("python")) files.add(entry.path());
  files.add_program(found_in_path(python));
  return files.take();
}

}  // namespace zeroth
