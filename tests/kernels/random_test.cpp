// Philox4x32-10 against the vectors published with Random123 (kat_vectors), and the keys of
// samples.
#include "kernels/random.h"

#include <catch2/catch.hpp>
#include <set>

namespace zeroth {
namespace {

TEST_CASE("philox: the published answer for zeros") {
  const Philox::Counter expected{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  CHECK(Philox::block({0, 0, 0, 0}, {0, 0}) == expected);
}

TEST_CASE("philox: the published answer for ones") {
  const Philox::Counter expected{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu};
  CHECK(Philox::block({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == expected);
}

TEST_CASE("philox: the published answer for the digits of pi") {
  const Philox::Counter expected{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u};
  CHECK(Philox::block({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                      {0xa4093822u, 0x299f31d0u}) == expected);
}

TEST_CASE("uniform_double: the ends of its range and the weight of its words") {
  CHECK(uniform_double(0, 0) == 0.0);
  CHECK(uniform_double(0x80000000u, 0) == 0.5);
  CHECK(uniform_double(0, 1u << 11) == 0x1.0p-53);
  CHECK(uniform_double(0, (1u << 11) - 1) == 0.0);
  CHECK(uniform_double(~0u, ~0u) == 1.0 - 0x1.0p-53);
}

TEST_CASE("uniform_double: every field of a sample key matters") {
  const SampleKey base{.seed = 7, .step = 1, .problem = 2, .sample = 3, .position = 4, .stream = 5};
  std::set<double> draws{uniform_double(base)};
  SampleKey key = base;
  key.seed = 8;
  draws.insert(uniform_double(key));
  key = base;
  key.seed = 7 + (std::uint64_t{1} << 32);
  draws.insert(uniform_double(key));
  key = base;
  key.step = 6;
  draws.insert(uniform_double(key));
  key = base;
  key.problem = 6;
  draws.insert(uniform_double(key));
  key = base;
  key.sample = 6;
  draws.insert(uniform_double(key));
  key = base;
  key.position = 6;
  draws.insert(uniform_double(key));
  key = base;
  key.stream = 6;
  draws.insert(uniform_double(key));
  CHECK(draws.size() == 8);
  CHECK(draws.count(uniform_double(base)) == 1);
}

TEST_CASE("uniform_double: fields do not stand in for one another") {
  std::set<double> draws;
  for (std::uint32_t field = 0; field < 5; ++field) {
    SampleKey key;
    (field == 0   ? key.step
     : field == 1 ? key.problem
     : field == 2 ? key.sample
     : field == 3 ? key.position
                  : key.stream) = 1;
    draws.insert(uniform_double(key));
  }
  CHECK(draws.size() == 5);
}

TEST_CASE(
    "uniform_double: mean and variance of a uniform number over the positions of a completion") {
  constexpr int kCount = 100000;
  double sum = 0.0;
  double squares = 0.0;
  for (std::uint32_t position = 0; position < kCount; ++position) {
    const double u = uniform_double(SampleKey{.seed = 42, .position = position});
    sum += u;
    squares += u * u;
  }
  const double mean = sum / kCount;
  CHECK(mean == Approx(0.5).margin(0.004));  // four standard errors: 4 * 0.2887 / sqrt(100000)
  CHECK(squares / kCount - mean * mean == Approx(1.0 / 12.0).margin(0.001));
}

}  // namespace
}  // namespace zeroth
