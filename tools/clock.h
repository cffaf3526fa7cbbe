// The wall clock of the commands. Only what is printed may depend on it, never a number of a run.
#pragma once

#include <chrono>

namespace zeroth {

/// Seconds from a fixed point, never falling.
inline double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Microseconds that `work` takes.
template <class Work>
double micros_of(const Work& work) {
  const double begin = monotonic_seconds();
  work();
  return (monotonic_seconds() - begin) * 1e6;
}

}  // namespace zeroth
