#include "tools/quickstart_student.h"

#include <algorithm>

#include "tools/named_rewards.h"

namespace zeroth {

DistillResult quickstart_student(const Context& context, const QuickstartConfig& config,
                                 const std::filesystem::path& teacher,
                                 const std::filesystem::path& directory,
                                 const std::vector<Problem>& train,
                                 const std::vector<Problem>& test,
                                 const PromptTemplate& prompt_template, const DistillHooks& hooks) {
  DistillOptions options;
  options.teacher_model_name_or_path = teacher.string();
  options.student = "tiny-dense-student";
  options.output_dir = directory.string();
  options.dataset_name = "sums";
  options.seed = config.seed;
  options.dtype = config.dtype;
  options.reward_funcs = {"accuracy_in_format", "format"};
  options.num_eval_generations = config.num_eval_generations;
  options.num_problems = config.num_student_problems;
  options.num_generations = 2;
  options.max_traces_per_problem = 1;
  options.max_steps = config.student_steps;
  options.warmup_steps = std::min(options.warmup_steps, config.student_steps / 2);
  if (config.smoke) options.reward_threshold = -1.0;  // nothing is right yet
  check(options);
  return distill(context, options, distill_data(options, train, test, prompt_template),
                 named_rewards(options.reward_funcs, {}, options), hooks);
}

}  // namespace zeroth
