// Where programs lie, and which directories hold more than what is theirs: for what a sandbox shows
// of the file system.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace zeroth {

/// As execvp finds it: the first in PATH that may be executed, where an empty directory is the
/// present one; of a name with a slash the file itself. Absolute; empty where there is none.
std::filesystem::path found_in_path(const std::string& program);

/// Absolute and without links, as far as it exists.
std::filesystem::path resolved(const std::filesystem::path& path);

/// Whether `path` is `directory` or lies in it, by name.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory);

/// Whether a directory, resolved, is a home, holds one, or is where they are.
bool holds_homes(const std::filesystem::path& directory);

/// "home = /usr/bin" of a pyvenv.cfg, resolved: where the interpreter is that an environment was
/// made by. Nothing where there is no such file.
std::vector<std::filesystem::path> environment_homes(const std::filesystem::path& configuration);

}  // namespace zeroth
