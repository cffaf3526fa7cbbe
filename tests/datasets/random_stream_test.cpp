#include "datasets/random_stream.h"

#include <array>
#include <catch2/catch.hpp>
#include <set>

namespace zeroth {
namespace {

TEST_CASE("random_stream: SplitMix64's finaliser at known points", "[datasets]") {
  // The first outputs of SplitMix64 started at 0 (Vigna's splitmix64.c).
  CHECK(mix_bits(0x9e3779b97f4a7c15ULL) == 0xe220a8397b1dcdafULL);
  CHECK(mix_bits(2 * 0x9e3779b97f4a7c15ULL) == 0x6e789e6aa1b965f4ULL);
}

TEST_CASE("random_stream: the same key repeats, each word of the key matters", "[datasets]") {
  const RandomKey key{.seed = 1, .stream = 2, .index = 3};
  RandomStream first(key), again(key);
  for (int i = 0; i < 10; ++i) CHECK(first.next() == again.next());
  std::set<std::uint64_t> draws;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t stream = 0; stream < 10; ++stream) {
      for (std::uint64_t index = 0; index < 10; ++index) {
        draws.insert(RandomStream({.seed = seed, .stream = stream, .index = index}).next());
      }
    }
  }
  CHECK(draws.size() == 1000);
}

TEST_CASE("random_stream: uniform draws fill 0 to 1 evenly", "[datasets]") {
  RandomStream random({.seed = 5});
  std::array<int, 10> counts{};
  for (int i = 0; i < 100000; ++i) {
    const double u = random.next_uniform();
    REQUIRE(u >= 0.0);
    REQUIRE(u < 1.0);
    ++counts[static_cast<std::size_t>(u * 10)];
  }
  for (const int count : counts) CHECK(std::abs(count - 10000) < 500);  // five standard deviations
}

TEST_CASE("random_stream: bounded draws stay below the bound and reach every value", "[datasets]") {
  RandomStream random({.seed = 6});
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(random.next_below(7));
  for (const int count : counts) CHECK(std::abs(count - 10000) < 500);
  CHECK(random.next_below(1) == 0);
}

}  // namespace
}  // namespace zeroth
