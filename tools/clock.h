// The wall clock of the commands. Only what is printed may depend on it, never a number of a run:
// the date of a chat template's becomes part of the run's configuration.
#pragma once

#include <array>
#include <chrono>
#include <ctime>
#include <string>

namespace zeroth {

/// Seconds from a fixed point, never falling.
inline double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The local time, as 2026-01-02T15:04:05.
inline std::string local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts)};
}

/// Its day, as 2026-01-02.
inline std::string local_date() {
  return local_time().substr(0, 10);
}

/// Microseconds that `work` takes.
template <class Work>
double micros_of(const Work& work) {
  const double begin = monotonic_seconds();
  work();
  return (monotonic_seconds() - begin) * 1e6;
}

}  // namespace zeroth
