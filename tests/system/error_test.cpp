#include "system/error.h"

#include <catch2/catch.hpp>

namespace zeroth {
namespace {

TEST_CASE("InputError: the text names source, field, expected and actual", "[system]") {
  const InputError error({.source = "config.json",
                          .field = "rope_scaling.factor",
                          .expected = "a number above 1",
                          .actual = "0.5"});
  CHECK(std::string(error.what()) ==
        "config.json: rope_scaling.factor: expected a number above 1, got 0.5");
  CHECK(error.parts().field == "rope_scaling.factor");
}

TEST_CASE("InputError: parts that are empty leave no punctuation behind", "[system]") {
  CHECK(std::string(InputError({.source = "a.txt", .field = "", .expected = "text", .actual = ""})
                        .what()) == "a.txt: expected text");
  CHECK(
      std::string(InputError({.source = "", .field = "seed", .expected = "a number", .actual = "x"})
                      .what()) == "seed: expected a number, got x");
}

}  // namespace
}  // namespace zeroth
