#include "rl/schedule.h"

#include <catch2/catch.hpp>
#include <stdexcept>

namespace zeroth {

TEST_CASE("learning_rate_at: warm-up rises linearly from 0 to the peak", "[rl]") {
  for (const auto type :
       {LrSchedulerType::constant, LrSchedulerType::linear, LrSchedulerType::cosine}) {
    const ScheduleConfig config = {
        .lr_scheduler_type = type, .learning_rate = 8.0, .warmup_steps = 4, .max_steps = 12};
    CHECK(learning_rate_at(0, config) == 0.0);
    CHECK(learning_rate_at(1, config) == 2.0);
    CHECK(learning_rate_at(3, config) == 6.0);
    CHECK(learning_rate_at(4, config) == 8.0);
  }
}

TEST_CASE("learning_rate_at: linear falls to 0 at max_steps and stays there", "[rl]") {
  const ScheduleConfig config = {.lr_scheduler_type = LrSchedulerType::linear,
                                 .learning_rate = 8.0,
                                 .warmup_steps = 4,
                                 .max_steps = 12};
  CHECK(learning_rate_at(8, config) == 4.0);
  CHECK(learning_rate_at(11, config) == 1.0);
  CHECK(learning_rate_at(12, config) == 0.0);
  CHECK(learning_rate_at(100, config) == 0.0);
}

TEST_CASE("learning_rate_at: cosine is half the peak half-way and never rises", "[rl]") {
  const ScheduleConfig config = {.lr_scheduler_type = LrSchedulerType::cosine,
                                 .learning_rate = 8.0,
                                 .warmup_steps = 0,
                                 .max_steps = 8};
  CHECK(learning_rate_at(0, config) == 8.0);
  CHECK(learning_rate_at(4, config) == Approx(4.0));
  CHECK(learning_rate_at(2, config) == Approx(8.0 * 0.85355339059327));
  CHECK(learning_rate_at(8, config) == 0.0);
  for (int step = 0; step < 8; ++step) {
    CHECK(learning_rate_at(step + 1, config) < learning_rate_at(step, config));
  }
}

TEST_CASE("learning_rate_at: constant stays at the peak without max_steps", "[rl]") {
  const ScheduleConfig config = {.lr_scheduler_type = LrSchedulerType::constant,
                                 .learning_rate = 3e-4};
  CHECK(learning_rate_at(0, config) == 3e-4);
  CHECK(learning_rate_at(1000000, config) == 3e-4);
}

TEST_CASE("learning_rate_at: negative values are refused", "[rl]") {
  CHECK_THROWS_AS(learning_rate_at(-1, {}), std::invalid_argument);
  CHECK_THROWS_AS(learning_rate_at(0, {.warmup_steps = -1}), std::invalid_argument);
  CHECK_THROWS_AS(learning_rate_at(0, {.learning_rate = -1.0}), std::invalid_argument);
}

}  // namespace zeroth
