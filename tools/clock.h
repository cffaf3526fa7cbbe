// The wall clock of the commands. Only what is printed may depend on it, never a number of a run.
#pragma once

#include <chrono>

namespace zeroth {

/// Seconds from a fixed point, never falling.
inline double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace zeroth
