#include "tools/distill_options.h"

#include <cmath>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

[[noreturn]] void refuse(const std::string& key, const std::string& expected,
                         const std::string& actual) {
  throw InputError(
      {.source = "configuration", .field = key, .expected = expected, .actual = actual});
}

void require_at_least(const std::string& key, std::int64_t minimum, std::int64_t value) {
  if (value < minimum) refuse(key, "at least " + std::to_string(minimum), std::to_string(value));
}

}  // namespace

void check(const DistillOptions& c) {
  if (c.teacher_model_name_or_path.empty())
    refuse("teacher_model_name_or_path", "a checkpoint directory", "nothing");
  if (c.student.empty()) refuse("student", "a checkpoint directory or a preset", "nothing");
  SftConfig training = c;
  training.model_name_or_path = c.student;
  check(training);
  require_at_least("num_problems", 0, c.num_problems);
  require_at_least("num_generations", 1, c.num_generations);
  require_at_least("max_completion_length", 1, c.max_completion_length);
  if (!std::isfinite(c.temperature) || c.temperature <= 0.0)
    refuse("temperature", "a finite number above 0",
           std::isfinite(c.temperature) ? json_number(c.temperature) : "no finite number");
  if (c.reward_funcs.empty()) refuse("reward_funcs", "at least one reward", "0");
  check_named_rewards(c);
  if (!std::isfinite(c.reward_threshold))
    refuse("reward_threshold", "a finite number", "no finite number");
  require_at_least("max_loop_tokens", 0, c.max_loop_tokens);
  require_at_least("max_traces_per_problem", 0, c.max_traces_per_problem);
  if (!(c.kd_weight >= 0.0 && c.kd_weight <= 1.0))
    refuse("kd_weight", "0 to 1",
           std::isfinite(c.kd_weight) ? json_number(c.kd_weight) : "no finite number");
  if (c.kd_weight > 0.0 && c.mla_prefix != "absorbed")
    refuse("mla_prefix", "absorbed where kd_weight is above 0", c.mla_prefix);
  require_at_least("num_eval_problems", 0, c.num_eval_problems);
  require_at_least("num_eval_generations", 1, c.num_eval_generations);
  require_at_least("max_num_seqs", 1, c.max_num_seqs);
  require_at_least("page_size", 1, c.page_size);
}

}  // namespace zeroth
