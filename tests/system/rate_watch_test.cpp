#include "system/rate_watch.h"

#include <catch2/catch.hpp>

namespace zeroth {
namespace {

using std::chrono::milliseconds;

TEST_CASE("rate watch: every window has to bring its share, and a burst does not pay for the next",
          "[http]") {
  const RateWatch::Clock::time_point start{};
  RateWatch watch(/*window_seconds=*/2, /*bytes_per_second=*/10);
  watch.start(start);
  CHECK_FALSE(watch.is_late(start + milliseconds(1999)));
  watch.count(1'000'000);
  CHECK_FALSE(watch.is_late(start + milliseconds(2000)));
  watch.count(19);
  CHECK_FALSE(watch.is_late(start + milliseconds(3999)));
  CHECK(watch.is_late(start + milliseconds(4000)));
  watch.count(1);
  CHECK_FALSE(watch.is_late(start + milliseconds(4000)));
}

TEST_CASE("rate watch: without a rate one byte is enough, and none is not", "[http]") {
  const RateWatch::Clock::time_point start{};
  RateWatch watch(2, 0);
  watch.start(start);
  watch.count(1);
  CHECK_FALSE(watch.is_late(start + milliseconds(2000)));
  CHECK(watch.is_late(start + milliseconds(4000)));
}

TEST_CASE("rate watch: time in which nobody looked is given back", "[http]") {
  const RateWatch::Clock::time_point start{};
  RateWatch watch(2, 10);
  watch.start(start);
  watch.extend(milliseconds(500));
  CHECK_FALSE(watch.is_late(start + milliseconds(2499)));
  CHECK(watch.is_late(start + milliseconds(2500)));
}

}  // namespace
}  // namespace zeroth
