// Notices a peer that moves bytes too slowly: every window of time has to bring its share.
#pragma once

#include <chrono>
#include <cstddef>

namespace zeroth {

inline std::chrono::steady_clock::duration steady_duration(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

class RateWatch {
 public:
  using Clock = std::chrono::steady_clock;

  /// A window in which fewer than window_seconds * bytes_per_second bytes move (and at least one)
  /// is too slow. A burst does not pay for the windows after it.
  RateWatch(double window_seconds, double bytes_per_second)
      : window_(steady_duration(window_seconds)), needed_(window_seconds * bytes_per_second) {}

  void start(Clock::time_point now) {
    end_ = now + window_;
    bytes_ = 0;
  }
  void count(std::size_t bytes) { bytes_ += static_cast<double>(bytes); }
  /// Time in which nobody was looking does not count.
  void extend(Clock::duration time) { end_ += time; }
  Clock::time_point end() const { return end_; }

  bool is_late(Clock::time_point now) {
    if (now < end_) return false;
    if (bytes_ < needed_ || bytes_ == 0) return true;
    start(now);
    return false;
  }

 private:
  Clock::duration window_;
  double needed_;
  Clock::time_point end_{};
  double bytes_ = 0;
};

}  // namespace zeroth
