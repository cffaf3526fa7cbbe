// What a Python interpreter has to see of the file system, for a sandbox in which little else is
// seen.
#pragma once

#include <string>
#include <vector>

namespace zeroth {

/// Files and directories that `python` (found in PATH) and the packages installed for it lie in:
/// the installation, of every link on the way to it, an environment's and that of its base; the
/// directories of PYTHONPATH, VIRTUAL_ENV and LD_LIBRARY_PATH; the user's own packages. Never a
/// home directory, one that holds it, or one of scratch: of a program that lies there, it alone.
std::vector<std::string> python_files(const std::string& python);

}  // namespace zeroth
