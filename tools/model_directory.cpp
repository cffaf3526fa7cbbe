#include "tools/model_directory.h"

#include <filesystem>
#include <iostream>

#include "rl/checkpoint.h"

namespace zeroth {

std::string model_directory(const std::string& path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path) || fs::exists(fs::path(path) / "config.json")) return path;
  const LatestCheckpoint latest = latest_checkpoint(path);
  if (!latest.directory) return path;
  std::cerr << "model: " << latest.directory->string() << "\n";
  return latest.directory->string();
}

}  // namespace zeroth
