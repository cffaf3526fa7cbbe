#include "rl/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace zeroth {
namespace {

// Share of the decay that is done: 0 at the end of the warm-up, 1 from max_steps on.
double decay_progress(std::int64_t step, const ScheduleConfig& config) {
  const std::int64_t decay_steps =
      std::max<std::int64_t>(1, config.max_steps - config.warmup_steps);
  const std::int64_t done = step - config.warmup_steps;
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(decay_steps));
}

}  // namespace

double learning_rate_at(std::int64_t step, const ScheduleConfig& config) {
  if (step < 0 || config.warmup_steps < 0 || !(config.learning_rate >= 0.0)) {
    throw std::invalid_argument(
        "learning_rate_at: step, warmup_steps and learning_rate must not be negative");
  }
  if (step < config.warmup_steps) {
    return config.learning_rate * static_cast<double>(step) /
           static_cast<double>(config.warmup_steps);
  }
  switch (config.lr_scheduler_type) {
    case LrSchedulerType::constant:
      return config.learning_rate;
    case LrSchedulerType::linear:
      return config.learning_rate * (1.0 - decay_progress(step, config));
    case LrSchedulerType::cosine: {
      const double progress = decay_progress(step, config);
      if (progress >= 1.0) return 0.0;
      return config.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    }
  }
  throw std::invalid_argument("learning_rate_at: lr_scheduler_type is not one of its values");
}

}  // namespace zeroth
