#include "rl/training_options.h"

#include <stdexcept>

namespace zeroth {

Dtype parse_dtype(const std::string& text) {
  if (text == "float32") return Dtype::float32;
  if (text == "bfloat16") return Dtype::bfloat16;
  throw std::invalid_argument("dtype: " + text);
}

MlaPrefix parse_mla_prefix(const std::string& text) {
  if (text == "absorbed") return MlaPrefix::absorbed;
  if (text == "expanded") return MlaPrefix::expanded;
  throw std::invalid_argument("mla_prefix: " + text);
}

ScheduleConfig schedule_of(const TrainingOptions& options) {
  LrSchedulerType type = LrSchedulerType::constant;
  if (options.lr_scheduler_type == "linear") type = LrSchedulerType::linear;
  if (options.lr_scheduler_type == "cosine") type = LrSchedulerType::cosine;
  return {.lr_scheduler_type = type,
          .learning_rate = options.learning_rate,
          .warmup_steps = options.warmup_steps,
          .max_steps = options.max_steps};
}

AdamwOptions adamw_of(const TrainingOptions& options) {
  return {.beta1 = options.adam_beta1,
          .beta2 = options.adam_beta2,
          .epsilon = options.adam_epsilon,
          .weight_decay = options.weight_decay,
          .max_grad_norm = options.max_grad_norm};
}

}  // namespace zeroth
