#include "system/python_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "system/program_files.h"

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

// Whether a directory holds much that has nothing to do with an interpreter.
bool is_wide(const fs::path& directory) {
  const fs::path here = resolved(directory);
  return holds_homes(here) ||
         std::find(std::begin(kScratch), std::end(kScratch), here) != std::end(kScratch);
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

  void add_program(fs::path path) {
    for (int links = 0; !path.empty() && links < kMostLinks; ++links) {
      add_installation(path);
      // And that of the interpreter that an environment was made by.
      for (const fs::path& home :
           environment_homes(path.parent_path().parent_path() / "pyvenv.cfg"))
        add_installation(home / "python3");
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
