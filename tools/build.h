// Which program this is.
#pragma once

#include <string>

namespace zeroth {

/// "zeroth 0.1.0 (g++ 12.2.0)". Part of the binary alone: it has the version.
inline std::string build_description() {
#ifdef __clang__
  return "zeroth " ZEROTH_VERSION " (clang " + std::to_string(__clang_major__) + "." +
         std::to_string(__clang_minor__) + "." + std::to_string(__clang_patchlevel__) + ")";
#else
  return "zeroth " ZEROTH_VERSION " (g++ " + std::to_string(__GNUC__) + "." +
         std::to_string(__GNUC_MINOR__) + "." + std::to_string(__GNUC_PATCHLEVEL__) + ")";
#endif
}

}  // namespace zeroth
