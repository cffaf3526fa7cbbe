#include "datasets/order.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <stdexcept>

namespace zeroth {
namespace {

std::vector<std::size_t> epoch_of(const ProblemOrder& order, std::size_t n, std::uint64_t epoch) {
  std::vector<std::size_t> visited(n);
  for (std::size_t i = 0; i < n; ++i) visited[i] = order.at(epoch * n + i);
  return visited;
}

TEST_CASE("order: every epoch visits each problem once", "[datasets]") {
  for (const std::size_t n : {1, 2, 3, 7, 64, 1000, 1023}) {
    const ProblemOrder order(n, 42);
    for (const std::uint64_t epoch : {0, 1, 1000000}) {
      std::vector<std::size_t> visited = epoch_of(order, n, epoch);
      std::sort(visited.begin(), visited.end());
      std::vector<std::size_t> all(n);
      std::iota(all.begin(), all.end(), std::size_t{0});
      CHECK(visited == all);
    }
  }
}

TEST_CASE("order: epochs and seeds differ, the same seed repeats", "[datasets]") {
  const ProblemOrder order(500, 1), same(500, 1), other(500, 2);
  CHECK(epoch_of(order, 500, 3) == epoch_of(same, 500, 3));
  CHECK(epoch_of(order, 500, 0) != epoch_of(order, 500, 1));
  CHECK(epoch_of(order, 500, 0) != epoch_of(other, 500, 0));
  CHECK(order.epoch(499) == 0);
  CHECK(order.epoch(500) == 1);
}

TEST_CASE("order: all permutations of four problems are about equally frequent", "[datasets]") {
  const ProblemOrder order(4, 9);
  std::map<std::vector<std::size_t>, int> counts;
  for (std::uint64_t epoch = 0; epoch < 24000; ++epoch) ++counts[epoch_of(order, 4, epoch)];
  CHECK(counts.size() == 24);
  for (const auto& [permutation, count] : counts) CHECK(std::abs(count - 1000) < 160);
}

TEST_CASE("order: the last position there is has a problem", "[datasets]") {
  CHECK(ProblemOrder(10, 0).at(~std::uint64_t{0}) < 10);
}

TEST_CASE("order: no problems and indices out of range are refused", "[datasets]") {
  CHECK_THROWS_AS(ProblemOrder(0, 1), std::invalid_argument);
  CHECK_THROWS_AS(KeyedPermutation(0, 1, 1), std::invalid_argument);
  CHECK_THROWS_AS(KeyedPermutation((std::uint64_t{1} << 63) + 1, 1, 1), std::invalid_argument);
  CHECK_THROWS_AS(KeyedPermutation(5, 1, 1).at(5), std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
