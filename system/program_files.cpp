#include "system/program_files.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <system_error>

namespace zeroth {

namespace fs = std::filesystem;

fs::path found_in_path(const std::string& program) {
  if (program.find('/') != std::string::npos) return fs::absolute(program);
  const char* const path = std::getenv("PATH");
  if (path == nullptr) return {};
  for (std::string_view rest = path;;) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const fs::path directory = end == 0 ? "." : rest.substr(0, end);
    const fs::path file = fs::absolute(directory) / program;
    if (access(file.c_str(), X_OK) == 0) return file;
    if (end == rest.size()) return {};
    rest.remove_prefix(end + 1);
  }
}

fs::path resolved(const fs::path& path) {
  std::error_code error;
  const fs::path found = fs::weakly_canonical(fs::absolute(path), error);
  return error ? fs::absolute(path).lexically_normal() : found;
}

bool is_within(const fs::path& path, const fs::path& directory) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first ==
         directory.end();
}

bool holds_homes(const fs::path& directory) {
  const char* const home = std::getenv("HOME");
  return directory == "/home" || directory.parent_path() == "/home" ||
         is_within("/root", directory) ||
         (home != nullptr && *home != '\0' && is_within(resolved(home), directory));
}

std::vector<fs::path> environment_homes(const fs::path& configuration) {
  std::vector<fs::path> homes;
  std::ifstream in(configuration);
  for (std::string line; std::getline(in, line);) {
    const std::size_t equals = line.find('=');
    if (!line.starts_with("home") || equals == std::string::npos) continue;
    const std::size_t begin = line.find_first_not_of(' ', equals + 1);
    if (begin != std::string::npos) homes.push_back(resolved(line.substr(begin)));
  }
  return homes;
}

}  // namespace zeroth
