// The folders are the architecture: a folder includes only what stands below it. An edge that is
// not in the table is a change of design, not a mend of the build.

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "system/file.h"

namespace zeroth {
namespace {

using Layers = std::map<std::string, std::set<std::string>>;

const Layers kMayInclude = {
    {"kernels", {}},
    {"system", {}},
    {"datasets", {"system"}},
    {"rewards", {"datasets", "system"}},
    {"policy", {"kernels", "datasets", "system"}},
    {"rollout", {"policy", "kernels", "datasets", "system"}},
    {"rl", {"rollout", "rewards", "policy", "kernels", "datasets", "system"}},
    {"tools", {"rl", "rollout", "rewards", "policy", "kernels", "datasets", "system"}},
};

// The first folder of an #include "folder/…" line; empty for any other line.
std::string included_folder(const std::string& line) {
  std::size_t at = line.find_first_not_of(" \t");
  if (at == std::string::npos || line[at] != '#') return "";
  at = line.find_first_not_of(" \t", at + 1);
  if (at == std::string::npos || line.compare(at, 7, "include") != 0) return "";
  const std::size_t open = line.find('"', at);
  if (open == std::string::npos) return "";
  const std::size_t slash = line.find('/', open);
  return slash == std::string::npos ? "" : line.substr(open + 1, slash - open - 1);
}

// "file:line: …" for every include of `text` that the table does not allow to `folder`.
std::vector<std::string> forbidden_includes(const std::string& folder, const std::string& file,
                                            const std::string& text) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string included = included_folder(line);
    if (included.empty() || included == folder) continue;
    if (kMayInclude.at(folder).contains(included)) continue;
    found.push_back(file + ":" + std::to_string(number) + ": " + folder + "/ may not include " +
                    included + "/");
  }
  return found;
}

bool is_source(const std::filesystem::path& file) {
  static const std::set<std::string> kEndings = {".h", ".cpp", ".cu", ".cuh"};
  return kEndings.contains(file.extension().string());
}

TEST_CASE("layers: no folder includes what stands above it", "[tools]") {
  std::vector<std::string> found;
  std::size_t num_files = 0;
  for (const auto& [folder, allowed] : kMayInclude) {
    const auto root = std::filesystem::path(ZEROTH_SOURCE_DIR) / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      ++num_files;
      const auto name = entry.path().lexically_relative(ZEROTH_SOURCE_DIR).string();
      for (const auto& line : forbidden_includes(folder, name, read_file(entry.path()))) {
        found.push_back(line);
      }
    }
  }
  for (const std::string& line : found) UNSCOPED_INFO(line);
  CHECK(found.empty());
  CHECK(num_files > 20);
}

TEST_CASE("layers: the table itself points down only", "[tools]") {
  for (const auto& [folder, allowed] : kMayInclude) {
    for (const std::string& below : allowed) {
      CHECK_FALSE(kMayInclude.at(below).contains(folder));
      // What stands below a folder that is below stands below as well.
      for (const std::string& further : kMayInclude.at(below)) CHECK(allowed.contains(further));
    }
  }
}

TEST_CASE("layers: a forbidden include is found with its file and line", "[tools]") {
  const std::string text =
      "#pragma once\n#include <vector>\n#include \"system/error.h\"\n"
      "  #  include \"rl/config.h\"\n// #include \"tools/options.h\"\n"
      "#include \"boost/json.hpp\"\n";
  const std::vector<std::string> expected = {
      "policy/x.h:4: policy/ may not include rl/",
      "policy/x.h:6: policy/ may not include boost/",
  };
  CHECK(forbidden_includes("policy", "policy/x.h", text) == expected);
  CHECK(forbidden_includes("kernels", "k.h", "#include \"system/error.h\"\n").size() == 1);
}

}  // namespace
}  // namespace zeroth
