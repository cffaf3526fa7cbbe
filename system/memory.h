// How much memory there is to be had.
#pragma once

#include <cstdint>
#include <string_view>

namespace zeroth {

/// What this process may take without anything being swapped out: the system's estimate, and no
/// more than the control group is allowed. The greatest number where neither is told.
std::int64_t available_memory_bytes();

/// From the text of /proc/meminfo; -1 where it has no such line.
std::int64_t memory_available_in(std::string_view meminfo);

}  // namespace zeroth
