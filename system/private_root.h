// The files that a sandboxed process sees: the system's programs and libraries, those it is given,
// and a /tmp of its own. All but that is read-only, and what is not named is not there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace zeroth {

struct PrivateRoot {
  std::vector<std::string> readable;  // absolute; each a file, or a directory with what is in it
  std::vector<std::string> hidden;    // among them, where no longer path is readable again
  std::int64_t scratch = std::int64_t{1} << 30;  // bytes that /tmp may hold
};

/// Makes such a tree this mount namespace's root, with /proc of this process's pid namespace. For a
/// process alone in its mount namespace but for what it has forked, and with CAP_SYS_ADMIN there.
/// What is named and absent is left out. std::system_error names the step that the kernel refuses.
void enter_private_root(const PrivateRoot& root);

}  // namespace zeroth
