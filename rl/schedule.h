// Learning-rate schedules.
#pragma once

#include <cstdint>

namespace zeroth {

enum class LrSchedulerType { constant, linear, cosine };

struct ScheduleConfig {
  LrSchedulerType lr_scheduler_type = LrSchedulerType::linear;
  double learning_rate = 1e-6;    // peak
  std::int64_t warmup_steps = 0;  // updates during which the rate rises linearly from 0
  std::int64_t max_steps = 0;     // update at which linear and cosine reach 0; unused by constant
};

/// The rate of update `step`, counted from 0, as transformers' get_constant_schedule_with_warmup,
/// get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup (half a cosine): update 0 of
/// a run with warm-up has the rate 0; updates from max_steps on have the rate 0 under linear and
/// cosine. Throws std::invalid_argument for a negative step, warmup_steps or learning_rate.
double learning_rate_at(std::int64_t step, const ScheduleConfig& config);

}  // namespace zeroth
