#include "system/private_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include "system/file.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

// Programs, libraries, and what an interpreter looks at. Of /etc what says how names, time and
// libraries are found; its passwords and keys are not among it.
constexpr const char* kSystem[] = {"/usr",
                                   "/bin",
                                   "/sbin",
                                   "/lib",
                                   "/lib32",
                                   "/lib64",
                                   "/libx32",
                                   "/opt",
                                   "/nix/store",
                                   "/gnu/store",
                                   "/sys/devices/system/cpu",
                                   "/etc/alternatives",
                                   "/etc/fonts",
                                   "/etc/group",
                                   "/etc/hosts",
                                   "/etc/ld.so.cache",
                                   "/etc/ld.so.conf",
                                   "/etc/ld.so.conf.d",
                                   "/etc/locale.alias",
                                   "/etc/localtime",
                                   "/etc/magic",
                                   "/etc/mime.types",
                                   "/etc/nsswitch.conf",
                                   "/etc/os-release",
                                   "/etc/passwd",
                                   "/etc/timezone"};
constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                    "/dev/urandom"};
constexpr const char* kScratch = "/tmp";

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

enum class Kind { readable, hidden, device, scratch };

struct Place {
  Kind kind;
  std::string source;  // what is seen at the place, where something is
  bool is_directory;
  FileDescriptor tree = FileDescriptor();  // of the source
};

using Places = std::map<std::string, Place>;  // by path: what holds others comes before them

bool is_within(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// The kind of the nearest place above `path`.
std::optional<Kind> kind_above(const Places& places, const std::string& path) {
  for (fs::path above = fs::path(path).parent_path(); above != "/"; above = above.parent_path()) {
    const auto found = places.find(above.string());
    if (found != places.end()) return found->second.kind;
  }
  return std::nullopt;
}

void add(Places& places, Kind kind, const std::string& path) {
  std::error_code error;
  const fs::path normal = fs::path(path).lexically_normal();
  const fs::path real = fs::canonical(normal, error);
  if (error || real == "/") return;
  const bool is_directory = fs::is_directory(real, error);
  // At its own place, and at the one by whose name it is asked for.
  for (const fs::path& place : {real, normal}) {
    std::string target = place.string();
    if (target.ends_with('/')) target.pop_back();
    places.try_emplace(target, Place{kind, real.string(), is_directory});
  }
}

// What is hidden stays so under the other names that directories above it are asked for by.
void hide_under_other_names(Places& places) {
  Places more;
  for (const auto& [hidden, place] : places) {
    if (place.kind != Kind::hidden) continue;
    for (const auto& [name, named] : places) {
      if (named.kind != Kind::readable || name == named.source) continue;
      if (is_within(place.source, named.source))
        more.try_emplace(name + place.source.substr(named.source.size()),
                         Place{Kind::hidden, place.source, place.is_directory});
    }
  }
  places.merge(more);
}

Places places_of(const PrivateRoot& root) {
  Places places;
  places.try_emplace(kScratch, Place{Kind::scratch, "", true});
  for (const char* path : kDevices) add(places, Kind::device, path);
  // The first to name a place has it.
  for (const std::string& path : root.readable) add(places, Kind::readable, path);
  for (const std::string& path : root.hidden) add(places, Kind::hidden, path);
  for (const char* path : kSystem) add(places, Kind::readable, path);
  hide_under_other_names(places);
  // Seen already within another, or out of sight already.
  std::erase_if(places, [&](const auto& entry) {
    const auto above = kind_above(places, entry.first);
    if (entry.second.kind == Kind::readable) return above == Kind::readable;
    return entry.second.kind == Kind::hidden && above != Kind::readable;
  });
  return places;
}

void set_attributes(int directory, const char* path, unsigned flags, std::uint64_t attributes) {
  mount_attr set{.attr_set = attributes, .attr_clr = 0, .propagation = 0, .userns_fd = 0};
  if (mount_setattr(directory, path, flags, &set, sizeof set) != 0)
    fail("mount_setattr " + std::string(path));
}

// A copy of the mounts at `source`, nowhere yet.
FileDescriptor tree_of(const std::string& source, std::uint64_t attributes) {
  FileDescriptor tree(
      open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree.is_open()) fail("open_tree " + source);
  set_attributes(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, attributes);
  return tree;
}

void open_trees(Places& places) {
  constexpr std::uint64_t kReadable = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  for (auto& [path, place] : places) {
    if (place.kind == Kind::device) place.tree = tree_of(place.source, MOUNT_ATTR_NOSUID);
    if (place.kind == Kind::readable) place.tree = tree_of(place.source, kReadable);
    // A device where devices are none cannot be opened.
    if (place.kind == Kind::hidden && !place.is_directory)
      place.tree = tree_of("/dev/null", kReadable);
  }
}

void mount_tmpfs(const std::string& path, const std::string& options) {
  if (mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    fail("mounting a tmpfs on " + path);
}

// Something to mount on.
void make_target(const std::string& path, bool is_directory) {
  std::error_code error;
  if (fs::exists(path, error)) return;
  fs::create_directories(is_directory ? fs::path(path) : fs::path(path).parent_path(), error);
  if (error) throw std::system_error(error, "making " + path);
  if (is_directory) return;
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file.is_open()) fail("making " + path);
}

void put_in_place(const std::string& path, const Place& place, std::int64_t scratch) {
  make_target(path, place.is_directory);
  if (place.kind == Kind::scratch)
    return mount_tmpfs(path, "mode=1777,size=" + std::to_string(scratch));
  if (!place.tree.is_open()) return mount_tmpfs(path, "mode=0755,size=64k");
  if (move_mount(place.tree.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    fail("move_mount to " + path);
}

void link(const char* target, const char* path) {
  if (symlink(target, path) != 0) fail("linking " + std::string(path));
}

// This process's root becomes an empty tree; the old one stays under /old for the while.
void begin_root() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) fail("making / private");
  mount_tmpfs(kScratch, "mode=0755,size=1m");
  if (chdir(kScratch) != 0 || mkdir("old", 0755) != 0) fail("making a root");
  if (syscall(SYS_pivot_root, ".", "old") != 0) fail("pivot_root");
  if (chdir("/") != 0) fail("entering the root");
}

void end_root(const Places& places) {
  if (umount2("/old", MNT_DETACH) != 0 || rmdir("/old") != 0) fail("leaving the old root");
  for (const auto& [path, place] : places) {
    if (place.kind == Kind::hidden && place.is_directory)
      set_attributes(AT_FDCWD, path.c_str(), 0, MOUNT_ATTR_RDONLY);
  }
  set_attributes(AT_FDCWD, "/", 0, MOUNT_ATTR_RDONLY);
}

}  // namespace

void enter_private_root(const PrivateRoot& root) {
  Places places = places_of(root);
  open_trees(places);
  umask(0022);
  begin_root();
  for (const auto& [path, place] : places) put_in_place(path, place, root.scratch);
  make_target("/proc", true);
  // A new /proc is let in only where an old one is seen whole: before that goes.
  if (mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    fail("mounting /proc");
  link("/proc/self/fd", "/dev/fd");
  link("/proc/self/fd/0", "/dev/stdin");
  link("/proc/self/fd/1", "/dev/stdout");
  link("/proc/self/fd/2", "/dev/stderr");
  link(kScratch, "/dev/shm");
  end_root(places);
}

}  // namespace zeroth
