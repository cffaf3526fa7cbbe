#include "system/memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace zeroth {
namespace {

constexpr std::int64_t kUnknown = -1;

std::string content_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The number that `text` begins with after spaces.
std::int64_t leading_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::int64_t value = kUnknown;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::int64_t idle_file_bytes() {
  const std::string text = "\n" + content_of("/sys/fs/cgroup/memory.stat");
  constexpr std::string_view kKey = "\ninactive_file ";
  const std::size_t at = text.find(kKey);
  return at == std::string::npos ? 0 : leading_number(text.substr(at + kKey.size()));
}

}  // namespace

std::int64_t memory_available_in(std::string_view meminfo) {
  constexpr std::string_view kKey = "MemAvailable:";
  const std::size_t at = meminfo.find(kKey);
  if (at == std::string_view::npos) return kUnknown;
  const std::int64_t kib = leading_number(meminfo.substr(at + kKey.size()));
  return kib < 0 || kib > std::numeric_limits<std::int64_t>::max() / 1024 ? kUnknown : kib * 1024;
}

std::int64_t available_memory_bytes() {
  std::int64_t available = std::numeric_limits<std::int64_t>::max();
  const std::int64_t of_system = memory_available_in(content_of("/proc/meminfo"));
  if (of_system >= 0) available = of_system;
  // Of the group that this process sees as the root: that of a container.
  const std::int64_t limit = leading_number(content_of("/sys/fs/cgroup/memory.max"));
  // Pages of files that nobody holds on to are given up when memory is asked for.
  const std::int64_t used = leading_number(content_of("/sys/fs/cgroup/memory.current")) -
                            std::max<std::int64_t>(0, idle_file_bytes());
  if (limit >= 0 && used >= 0)
    available = std::min(available, std::max<std::int64_t>(0, limit - used));
  return available;
}

}  // namespace zeroth
