// Where recorded cases of other programs lie: the directory in the environment variable
// ZEROTH_FIXTURES.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace zeroth::testing {

/// The entries of `$ZEROTH_FIXTURES/folder` in order of name; none when the variable or the folder
/// is not there.
inline std::vector<std::filesystem::path> fixtures_in(const std::string& folder) {
  std::vector<std::filesystem::path> entries;
  const char* root = std::getenv("ZEROTH_FIXTURES");
  if (root == nullptr || !std::filesystem::is_directory(std::filesystem::path(root) / folder)) {
    return entries;
  }
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(root) / folder)) {
    entries.push_back(entry.path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

}  // namespace zeroth::testing
