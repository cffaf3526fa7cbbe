#include "tools/model_directory.h"

#include <filesystem>
#include <iostream>
#include <optional>

#include "rl/checkpoint.h"

namespace zeroth {

std::string model_directory(const std::string& path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path) || fs::exists(fs::path(path) / "config.json")) return path;
  std::optional<fs::path> found = latest_checkpoint(path).directory;
  const fs::path student = fs::path(path) / "student";
  if (!found && fs::exists(fs::path(path) / "manifest.json") && fs::exists(student / "config.json"))
    found = student;
  if (!found) return path;
  std::cerr << "model: " << found->string() << "\n";
  return found->string();
}

}  // namespace zeroth
