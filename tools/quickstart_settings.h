// The quickstart's numbers, in one place: chosen on the validation split
// (docs/results/quickstart.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "rl/config.h"

namespace zeroth {

struct QuickstartConfig : PolicyOptions {
  QuickstartConfig() {
    dtype = "float32";
    seed = 1;
  }
  std::string output_dir = "runs/quickstart";
  std::int64_t max_steps = 60;
  std::int64_t num_generations = 100;
  std::int64_t num_prompts_per_step = 8;
  std::int64_t num_eval_generations = 16;
  std::int64_t num_student_problems = 6000;
  std::int64_t student_steps = 400;
  bool control = false;
  bool smoke = false;
};

template <class Visitor>
void visit_fields(Visitor& v, QuickstartConfig& c) {
  v("output_dir", c.output_dir, "directory of the run; what is finished in it is not done again");
  v("seed", c.seed, "key of every random number: problems, weights, samples");
  v("dtype", c.dtype, "type of products; sums and master weights stay float32",
    {"float32", "bfloat16"});
  v("num_threads", c.num_threads, "threads; 0 = every core; never changes a number");
  v("isa", c.isa, "instruction set of the kernels", {"auto", "portable", "avx2", "avx512"});
  v("max_steps", c.max_steps, "steps of GRPO");
  v("num_generations", c.num_generations, "completions of one prompt: a group");
  v("num_prompts_per_step", c.num_prompts_per_step, "groups a step");
  v("num_eval_generations", c.num_eval_generations, "samples of each of the 600 test problems");
  v("num_student_problems", c.num_student_problems,
    "problems of which the trained model is sampled for the student");
  v("student_steps", c.student_steps, "steps of the student's training; 0 = no student");
  v("control", c.control, "also spend the same sampled tokens on rejection-sampling fine-tuning");
  v("smoke", c.smoke,
    "a few steps of every phase, in seconds: to see that it runs. No size is above a handful, and "
    "the numbers mean nothing");
}

void check(const QuickstartConfig& config);

/// What is finished in a directory is used again, so it has to be of the same settings: writes them
/// to `file`, or compares with those that are there. InputError naming the first key that differs.
void check_same_settings(const std::filesystem::path& file, const QuickstartConfig& config);

/// The sizes of `config` cut to a handful, for `smoke`.
QuickstartConfig smoke_sizes(QuickstartConfig config);

/// The rule that ends the cold start, on the calibration split.
struct ColdStartRule {
  double pass_at_1_low = 0.095;
  double pass_at_1_high = 0.13;
  double greedy_high = 0.20;
  double aim = 0.11;    // where the mix of habits is steered to
  double skill = 0.38;  // pass@1 at which the first phase has taught the method
};

struct ColdStartSettings {
  std::int64_t batch_size = 64;
  std::int64_t evaluate_every = 50;     // steps
  std::int64_t max_skill_steps = 4000;  // a run that needs more is given up
  std::int64_t max_habit_steps = 2000;
  double skill_learning_rate = 2e-3;  // held until pass@1 is `first_signs`, then falls to a fifth
  double first_signs = 0.12;          // on the calibration split
  double habit_learning_rate = 5e-4;  // falls to a fifth from the start
  std::int64_t decay_steps = 400;     // over which it falls, linearly
  double skill_careful = 0.6;         // share of careful traces while the method is taught
  double habit_careful = 0.12;        // and while the bad habits are
  double router_bias_update_speed = 1e-3;
};

}  // namespace zeroth
