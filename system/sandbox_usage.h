// What the processes of a sandbox hold together, by /proc of their pid namespace.
#pragma once

#include <cstdint>

namespace zeroth {

/// Whether the processes that /proc shows, and the files in /tmp, hold more than so many bytes.
/// Pages that processes share count once.
bool holds_more_than(std::int64_t memory);

}  // namespace zeroth
