#include "tools/stop.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>

namespace zeroth {
namespace {

// A signal handler can reach nothing but statics. Lock-free atomics, so that the handler may use
// them.
std::atomic<bool> signal_arrived{false};
std::atomic<bool> interrupt_arrived{false};
std::atomic<bool> handlers_set{false};
static_assert(std::atomic<bool>::is_always_lock_free);

struct sigaction former_interrupt;
struct sigaction former_terminate;

void on_signal(int number) {
  if (number == SIGINT && interrupt_arrived.exchange(true)) _exit(130);
  signal_arrived = true;
}

void set_handler(int number, struct sigaction& former) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (sigaction(number, &action, &former) != 0) {
    throw std::system_error(errno, std::generic_category(), "sigaction");
  }
}

}  // namespace

StopRequest::StopRequest(double max_seconds, Clock clock)
    : max_seconds_(max_seconds), clock_(std::move(clock)), start_(clock_()) {
  if (handlers_set.exchange(true)) throw std::logic_error("a StopRequest is alive already");
  signal_arrived = false;
  interrupt_arrived = false;
  set_handler(SIGINT, former_interrupt);
  set_handler(SIGTERM, former_terminate);
}

StopRequest::~StopRequest() {
  sigaction(SIGINT, &former_interrupt, nullptr);
  sigaction(SIGTERM, &former_terminate, nullptr);
  handlers_set = false;
}

StopCause StopRequest::cause() const {
  if (signal_arrived) return StopCause::signal;
  if (max_seconds_ > 0 && clock_() - start_ >= max_seconds_) return StopCause::time;
  return StopCause::none;
}

std::string StopRequest::reason() const {
  switch (cause()) {
    case StopCause::signal:
      return "interrupted by a signal";
    case StopCause::time: {
      char seconds[32];
      std::snprintf(seconds, sizeof(seconds), "%g", max_seconds_);
      return std::string("max_seconds (") + seconds + ") is over";
    }
    case StopCause::none:
      break;
  }
  return "";
}

}  // namespace zeroth
