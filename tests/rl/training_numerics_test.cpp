#include "rl/training_numerics.h"

#include <catch2/catch.hpp>

#include "rollout/numerics.h"

namespace zeroth {

TEST_CASE("training numerics: the rollouts' fingerprint and more, the same on every path",
          "[rl][threads]") {
  for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
    ThreadPool one(1);
    const std::string expected = training_numerics({Isa::portable, &one}, dtype);
    const std::string of_rollouts = rollout_numerics({Isa::portable, &one}, dtype);
    CHECK(expected.starts_with(of_rollouts + "-"));
    CHECK(expected.size() == of_rollouts.size() + 17);
    for (const Isa isa : supported_isas()) {
      ThreadPool pool(3);
      CHECK(training_numerics({isa, &pool}, dtype) == expected);
    }
  }
}

}  // namespace zeroth
