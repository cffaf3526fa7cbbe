// Which checkpoint a path stands for.
#pragma once

#include <string>

namespace zeroth {

/// `path` itself; where that is the directory of a run, its newest whole checkpoint, and where it
/// is a distillation's, its student, which is said on stderr. A path that is neither comes back as
/// it is: whoever reads it says what is missing.
std::string model_directory(const std::string& path);

}  // namespace zeroth
