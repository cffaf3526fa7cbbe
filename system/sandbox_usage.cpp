#include "system/sandbox_usage.h"

#include <dirent.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { closedir(directory); }
};

std::vector<std::string> processes_of_proc() {
  std::vector<std::string> list;
  const std::unique_ptr<DIR, CloseDirectory> proc(opendir("/proc"));
  if (proc == nullptr) return list;
  while (const dirent* entry = readdir(proc.get())) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0)
      list.push_back(std::string("/proc/") + entry->d_name);
  }
  return list;
}

// The sum of the lines of a file that begin with one of `names`, in bytes: "Name:   12 kB".
std::int64_t sum_of(const std::string& file, std::initializer_list<std::string_view> names) {
  std::ifstream in(file);
  std::int64_t sum = 0;
  for (std::string line; std::getline(in, line);) {
    for (const std::string_view name : names) {
      if (line.starts_with(name)) sum += 1024 * std::atoll(line.c_str() + name.size());
    }
  }
  return sum;
}

std::int64_t bytes_in_tmp() {
  struct statvfs tmp {};
  if (statvfs("/tmp", &tmp) != 0) return 0;
  return static_cast<std::int64_t>((tmp.f_blocks - tmp.f_bfree) * tmp.f_frsize);
}

}  // namespace

bool holds_more_than(std::int64_t memory) {
  const std::vector<std::string> list = processes_of_proc();
  std::int64_t held = bytes_in_tmp();
  for (const std::string& process : list)
    held += sum_of(process + "/status", {"RssAnon:", "RssShmem:"});
  if (held <= memory) return false;
  // What is shared was counted for each, and files of /tmp that are mapped as well: looked at
  // closely, which takes longer.
  std::int64_t own = 0, shared = 0;
  for (const std::string& process : list) {
    own += sum_of(process + "/smaps_rollup", {"Pss_Anon:"});
    shared += sum_of(process + "/smaps_rollup", {"Pss_Shmem:"});
  }
  return own + std::max(shared, bytes_in_tmp()) > memory;
}

}  // namespace zeroth
