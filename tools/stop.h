// A request to stop at the next resumable point: Ctrl-C, SIGTERM, or the end of max_seconds.
#pragma once

#include <exception>
#include <functional>
#include <string>

namespace zeroth {

/// Thrown by work that is given up on request and is done again, or goes on, another time.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

enum class StopCause { none, signal, time };

/// While it lives, the first SIGINT and every SIGTERM only set a flag that the work asks for
/// between steps; a second SIGINT ends the process at once with exit code 130. The destructor
/// restores the former handlers. One at a time: a second one throws std::logic_error.
class StopRequest {
 public:
  using Clock = std::function<double()>;  // seconds from any fixed point, never falling

  /// `max_seconds` from now; 0 = no limit. Throws std::system_error when a handler cannot be set.
  StopRequest(double max_seconds, Clock clock);
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  StopCause cause() const;
  bool requested() const { return cause() != StopCause::none; }
  /// Interrupted when a stop is requested.
  void check() const {
    if (requested()) throw Interrupted();
  }
  /// "interrupted by a signal" or "max_seconds (60) is over"; empty when nothing was requested.
  std::string reason() const;

 private:
  double max_seconds_;
  Clock clock_;
  double start_;
};

}  // namespace zeroth
