// A control group of Linux: what all of its processes hold together, and how many they are, is
// bounded by the kernel. Version 2, or the memory and pids hierarchies of version 1
// (kernel.org: admin-guide/cgroup-v2, cgroup-v1/memory, cgroup-v1/pids).
//
// Making one takes the right to: root, or a group that was delegated to the user. Where there is no
// such right, there is no group, and what bounds processes otherwise has to do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/file.h"

namespace zeroth {

struct ControlGroupLimits {
  std::int64_t memory = 0;     // bytes, of everything: pages of files and of the kernel, too
  std::int64_t processes = 0;  // threads included
};

/// Where groups may be made.
struct ControlGroupPlace {
  int version = 2;
  std::filesystem::path directory;  // a group, in which the new one is to be
  bool has_memory = false;          // what the new one will have
  bool has_pids = false;
};

/// Of a process with such a /proc/PID/cgroup and such a /proc/PID/mountinfo, those to try first at
/// the front: of version 2 its own group and the one above, of version 1 its own of each hierarchy.
std::vector<ControlGroupPlace> control_group_places(std::string_view cgroup,
                                                    std::string_view mountinfo);

class ControlGroup {
 public:
  /// Without processes, one at a time of this process's making; nothing where none can be made with
  /// both limits. Groups that another process made and left behind when it was killed are removed.
  static std::optional<ControlGroup> make(const ControlGroupLimits& limits);

  ControlGroup(ControlGroup&&) noexcept = default;
  ControlGroup& operator=(ControlGroup&&) noexcept = default;
  /// Removes the group, which its processes have to have left.
  ~ControlGroup();

  /// What it starts from then on is in the group as well. False where the kernel refuses. Works
  /// also when this process has other namespaces and another root than when it made the group.
  bool add(pid_t process);
  /// Whether the kernel has killed a process because they held more than the limit.
  bool ran_out() const;

 private:
  struct Part {
    FileDescriptor parent;
    std::string name;  // in parent
    FileDescriptor processes;
    FileDescriptor events;  // not open in a part without memory
  };
  explicit ControlGroup(std::vector<Part> parts) : parts_(std::move(parts)) {}
  static std::optional<Part> make_part(const ControlGroupPlace& place,
                                       const ControlGroupLimits& limits);

  std::vector<Part> parts_;  // one, or of version 1 one for memory and one for pids
};

}  // namespace zeroth
