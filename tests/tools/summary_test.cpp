#include "tools/summary.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <vector>

namespace zeroth {
namespace {

TEST_CASE("summarize: four values by hand", "[tools]") {
  const Summary summary = summarize(std::vector<double>{1, 2, 3, 6});
  CHECK(summary.count == 4);
  CHECK(summary.mean == 3);
  CHECK(summary.std == Approx(2.1602468994692865));  // sqrt(14 / 3)
  CHECK(summary.min == 1);
  CHECK(summary.max == 6);
}

TEST_CASE("summarize: one value has no spread, no value is misuse", "[tools]") {
  CHECK(summarize(std::vector<double>{5}).std == 0);
  CHECK_THROWS_AS(summarize({}), std::invalid_argument);
}

TEST_CASE("histogram: every value is counted once, the largest in the last bin", "[tools]") {
  const auto bins = histogram(std::vector<double>{0, 0.5, 1, 1, 0.49}, 2);
  REQUIRE(bins.size() == 2);
  CHECK(bins[0].count == 2);
  CHECK(bins[1].count == 3);
  CHECK(bins[0].to == 0.5);
  CHECK(bins[1].to == 1);
}

TEST_CASE("histogram: equal values are one bin", "[tools]") {
  const auto bins = histogram(std::vector<double>{2, 2, 2}, 10);
  REQUIRE(bins.size() == 1);
  CHECK(bins[0].count == 3);
}

}  // namespace
}  // namespace zeroth
