#include "tools/stop.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <stdexcept>

#include "tools/clock.h"

namespace zeroth {
namespace {

// The exit code of a child that runs `body`, or -1 when a signal ended it.
template <class Body>
int exit_code_of_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("stop: nothing is requested until a signal comes", "[tools]") {
  StopRequest stop(0, monotonic_seconds);
  CHECK_FALSE(stop.requested());
  CHECK(stop.reason().empty());
  raise(SIGINT);
  CHECK(stop.cause() == StopCause::signal);
  CHECK(stop.reason() == "interrupted by a signal");
}

TEST_CASE("stop: SIGTERM is a request as often as it comes", "[tools]") {
  StopRequest stop(0, monotonic_seconds);
  raise(SIGTERM);
  raise(SIGTERM);
  CHECK(stop.cause() == StopCause::signal);
}

TEST_CASE("stop: max_seconds counts from the start", "[tools]") {
  double now = 1000;
  StopRequest stop(60, [&now] { return now; });
  now = 1059.9;
  CHECK_FALSE(stop.requested());
  now = 1060;
  CHECK(stop.cause() == StopCause::time);
  CHECK(stop.reason() == "max_seconds (60) is over");
}

TEST_CASE("stop: without max_seconds time never stops", "[tools]") {
  double now = 0;
  StopRequest stop(0, [&now] { return now; });
  now = 1e12;
  CHECK_FALSE(stop.requested());
}

TEST_CASE("stop: a second Ctrl-C ends the process with 130", "[tools]") {
  CHECK(exit_code_of_child([] {
          StopRequest stop(0, monotonic_seconds);
          raise(SIGINT);
          if (!stop.requested()) _exit(1);
          raise(SIGINT);
        }) == 130);
}

TEST_CASE("stop: the former handlers come back", "[tools]") {
  { StopRequest stop(0, monotonic_seconds); }
  CHECK(exit_code_of_child([] {
          { StopRequest stop(0, monotonic_seconds); }
          signal(SIGTERM, [](int) { _exit(7); });
          { StopRequest stop(0, monotonic_seconds); }
          raise(SIGTERM);
        }) == 7);
}

TEST_CASE("stop: two at a time are misuse", "[tools]") {
  StopRequest stop(0, monotonic_seconds);
  CHECK_THROWS_AS(StopRequest(0, monotonic_seconds), std::logic_error);
}

}  // namespace
}  // namespace zeroth
