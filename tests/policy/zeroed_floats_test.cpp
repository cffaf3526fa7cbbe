#include "policy/zeroed_floats.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

namespace zeroth {
namespace {

TEST_CASE("ZeroedFloats: zeros at first, and a value like another", "[policy]") {
  ZeroedFloats one(100'000);
  REQUIRE(one.size() == 100'000);
  CHECK(std::all_of(one.span().begin(), one.span().end(), [](float x) { return x == 0; }));
  one.span()[99'999] = 3.0F;
  ZeroedFloats other = one;
  other.span()[0] = 4.0F;
  CHECK(one.span()[0] == 0.0F);
  CHECK(other.span()[99'999] == 3.0F);
  const float* place = other.span().data();
  const ZeroedFloats moved = std::move(other);
  CHECK(moved.span().data() == place);
  CHECK(moved.span()[0] == 4.0F);
  one = moved;
  CHECK(one.span()[0] == 4.0F);
  CHECK(one.span().data() != place);
}

TEST_CASE("ZeroedFloats: none at all is no memory, and too many are refused", "[policy]") {
  const ZeroedFloats none(0);
  CHECK(none.span().empty());
  const ZeroedFloats copy = none;
  CHECK(copy.size() == 0);
  CHECK_THROWS_AS(ZeroedFloats(std::size_t{1} << 62U), std::bad_alloc);
  CHECK_THROWS_AS(ZeroedFloats(std::size_t{1} << 50U), std::bad_alloc);
}

}  // namespace
}  // namespace zeroth
