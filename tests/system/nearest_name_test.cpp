#include "system/nearest_name.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace zeroth {
namespace {

const std::vector<std::string> kNames = {"learning_rate", "temperature", "num_generations", "beta"};

TEST_CASE("nearest_name: a missing, an extra, a wrong and a swapped byte", "[system]") {
  CHECK(nearest_name("learning_rat", kNames) == "learning_rate");
  CHECK(nearest_name("temperatture", kNames) == "temperature");
  CHECK(nearest_name("num-generations", kNames) == "num_generations");
  CHECK(nearest_name("btea", kNames) == "beta");
}

TEST_CASE("nearest_name: a swap of neighbours is one edit, not two", "[system]") {
  const std::vector<std::string> names = {"abxx", "ba"};  // two insertions; one swap
  CHECK(nearest_name("ab", names) == "ba");
}

TEST_CASE("nearest_name: letter case is ignored and a tie goes to the first", "[system]") {
  CHECK(nearest_name("BETA", kNames) == "beta");
  const std::vector<std::string> tied = {"ax", "ay"};
  CHECK(nearest_name("az", tied) == "ax");
}

TEST_CASE("nearest_name: no candidates, empty names and very long names", "[system]") {
  CHECK(nearest_name("beta", {}) == "");
  CHECK(nearest_name("", kNames) == "beta");
  CHECK(nearest_name(std::string(1 << 20, 'b'), kNames) == "beta");
}

}  // namespace
}  // namespace zeroth
