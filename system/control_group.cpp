#include "system/control_group.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "system/lines.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "zeroth-";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

bool lists(std::string_view list, char separator, std::string_view word) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(separator), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

struct Mount {
  std::string_view type, options, root, point;
};

// "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw": root and point, and after the dash type,
// source and options.
std::vector<Mount> mounts_of(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const TextLine& line : lines_of(mountinfo)) {
    const std::vector<std::string_view> words = words_of(line.text);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 5 || words.end() - dash < 4) continue;
    mounts.push_back({.type = dash[1], .options = dash[3], .root = words[3], .point = words[4]});
  }
  return mounts;
}

// A group by its path in the hierarchy, of which the mount may show a part only.
fs::path directory_of(const Mount& mount, std::string_view group) {
  if (mount.root != "/" && group.starts_with(mount.root)) group.remove_prefix(mount.root.size());
  while (group.starts_with('/')) group.remove_prefix(1);
  return group.empty() ? fs::path(mount.point) : fs::path(mount.point) / group;
}

// What stands after "ID:CONTROLLERS:" in the line of a hierarchy.
std::optional<std::string_view> group_of(std::string_view cgroup, std::string_view controller) {
  for (const TextLine& line : lines_of(cgroup)) {
    const std::size_t first = line.text.find(':');
    const std::size_t second = line.text.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = line.text.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : lists(controllers, ',', controller))
      return line.text.substr(second + 1);
  }
  return std::nullopt;
}

// A whole file of /proc or of a hierarchy, which have no size; empty where it cannot be read.
std::string text_of(int descriptor) {
  std::string text;
  char bytes[4096];
  for (ssize_t n;
       (n = pread(descriptor, bytes, sizeof bytes, static_cast<off_t>(text.size()))) > 0;)
    text.append(bytes, static_cast<std::size_t>(n));
  return text;
}

std::string text_of(const fs::path& file) {
  const FileDescriptor descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  return descriptor.is_open() ? text_of(descriptor.get()) : "";
}

bool set(int directory, const char* file, const std::string& value) {
  const FileDescriptor descriptor(openat(directory, file, O_WRONLY | O_CLOEXEC));
  return descriptor.is_open() &&
         write(descriptor.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

// Version 2 gives a new group those controllers that the one above it passes on.
bool passes_on(const fs::path& group, std::string_view controller) {
  std::string list = text_of(group / "cgroup.subtree_control");
  while (list.ends_with('\n')) list.pop_back();
  return lists(list, ' ', controller);
}

// Those that a process left behind which is no more; a group with processes stays in any case.
void remove_stale(const fs::path& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    pid_t maker = 0;
    const char* const end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + kPrefix.size(), end, maker);
    if (read.ec != std::errc() || read.ptr != end || maker <= 0) continue;
    if (kill(maker, 0) != 0 && errno == ESRCH) rmdir(entry.path().c_str());
  }
}

}  // namespace

std::vector<ControlGroupPlace> control_group_places(std::string_view cgroup,
                                                    std::string_view mountinfo) {
  std::vector<ControlGroupPlace> places;
  const auto own = group_of(cgroup, "");
  for (const Mount& mount : mounts_of(mountinfo)) {
    if (mount.type == "cgroup2" && own) {
      const fs::path directory = directory_of(mount, *own);
      places.push_back(
          {.version = 2, .directory = directory, .has_memory = true, .has_pids = true});
      if (directory != fs::path(mount.point) && directory.has_parent_path())
        places.push_back({.version = 2,
                          .directory = directory.parent_path(),
                          .has_memory = true,
                          .has_pids = true});
    }
  }
  for (const Mount& mount : mounts_of(mountinfo)) {
    if (mount.type != "cgroup") continue;
    const bool memory = lists(mount.options, ',', "memory");
    const bool pids = lists(mount.options, ',', "pids");
    const auto group = memory ? group_of(cgroup, "memory") : group_of(cgroup, "pids");
    if ((!memory && !pids) || !group) continue;
    places.push_back({.version = 1,
                      .directory = directory_of(mount, *group),
                      .has_memory = memory,
                      .has_pids = pids});
  }
  return places;
}

std::optional<ControlGroup::Part> ControlGroup::make_part(const ControlGroupPlace& place,
                                                          const ControlGroupLimits& limits) {
  const bool is_new = place.version == 2;
  if (is_new && !(passes_on(place.directory, "memory") && passes_on(place.directory, "pids")))
    return std::nullopt;
  Part part{
      .parent = FileDescriptor(open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      .name = std::string(kPrefix) + std::to_string(getpid()),
      .processes = FileDescriptor(),
      .events = FileDescriptor()};
  if (!part.parent.is_open()) return std::nullopt;
  remove_stale(place.directory);
  unlinkat(part.parent.get(), part.name.c_str(), AT_REMOVEDIR);  // of a process that had this id
  if (mkdirat(part.parent.get(), part.name.c_str(), 0755) != 0) return std::nullopt;
  const FileDescriptor group(
      openat(part.parent.get(), part.name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::string memory = std::to_string(limits.memory);
  bool done = group.is_open();
  if (place.has_pids) done = done && set(group.get(), "pids.max", std::to_string(limits.processes));
  if (place.has_memory) {
    done = done && set(group.get(), is_new ? "memory.max" : "memory.limit_in_bytes", memory);
    // Where swap is not counted there are no such files.
    set(group.get(), is_new ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
        is_new ? "0" : memory);
    part.events = FileDescriptor(
        openat(group.get(), is_new ? "memory.events" : "memory.oom_control", O_RDONLY | O_CLOEXEC));
    done = done && part.events.is_open();
  }
  part.processes = FileDescriptor(openat(group.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
  if (done && part.processes.is_open()) return part;
  unlinkat(part.parent.get(), part.name.c_str(), AT_REMOVEDIR);
  return std::nullopt;
}

std::optional<ControlGroup> ControlGroup::make(const ControlGroupLimits& limits) {
  const std::vector<ControlGroupPlace> places = control_group_places(
      text_of(fs::path("/proc/self/cgroup")), text_of(fs::path("/proc/self/mountinfo")));
  ControlGroup group({});
  bool memory = false, pids = false;
  for (const ControlGroupPlace& place : places) {
    if ((memory || !place.has_memory) && (pids || !place.has_pids)) continue;
    std::optional<Part> part = make_part(place, limits);
    if (!part) continue;
    group.parts_.push_back(std::move(*part));
    memory = memory || place.has_memory;
    pids = pids || place.has_pids;
    if (memory && pids) return group;
  }
  return std::nullopt;
}

ControlGroup::~ControlGroup() {
  for (const Part& part : parts_) {
    if (part.parent.is_open()) unlinkat(part.parent.get(), part.name.c_str(), AT_REMOVEDIR);
  }
}

bool ControlGroup::add(pid_t process) {
  const std::string id = std::to_string(process);
  for (const Part& part : parts_) {
    if (write(part.processes.get(), id.data(), id.size()) != static_cast<ssize_t>(id.size()))
      return false;
  }
  return true;
}

bool ControlGroup::ran_out() const {
  for (const Part& part : parts_) {
    if (!part.events.is_open()) continue;
    const std::string events = text_of(part.events.get());
    for (const TextLine& line : lines_of(events)) {
      const std::vector<std::string_view> words = words_of(line.text);
      if (words.size() == 2 && words[0] == "oom_kill" && words[1] != "0") return true;
    }
  }
  return false;
}

}  // namespace zeroth
