// A distillation as stages: traces (sample, score, filter), student (training), evaluation. Each is
// a function of inputs that manifest.json names by hash; what is finished from the same inputs is
// not done again, and what was interrupted goes on.
//
//   <output_dir>/manifest.json
//     samples.jsonl, samples.index   every sample (rl/trace_store.h)
//     traces.jsonl                   those that passed the filters (rl/trace_file.h)
//     student-init/                  where the student begins, when `student` is an architecture
//     student-run/                   its training run: metrics.jsonl, checkpoint-N
//     student-run.previous/          that of other inputs, which was there before
//     student/                       the result, a Hugging Face checkpoint
//     evaluation/{base,teacher,student}.json, evaluation.json
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "kernels/context.h"
#include "rewards/weighted_sum.h"
#include "rl/evaluate.h"
#include "rl/statistics.h"
#include "tools/distill_data.h"
#include "tools/distill_options.h"

namespace zeroth {

struct DistillHooks {
  /// Called once the run's directory is there and nobody else works in it.
  std::function<void()> begun = {};
  std::function<void(const std::string&)> note;
  std::function<bool()> stop_requested;
  /// Where a stage is: `done` of `total` `unit`.
  std::function<void(const std::string& stage, const std::string& unit, std::int64_t done,
                     std::int64_t total, const std::string& note)>
      progress;
};

struct EvaluatedPolicy {
  std::string name;
  std::filesystem::path checkpoint;
  Evaluation evaluation;
  std::int64_t parameters = 0;
  std::int64_t active_parameters = 0;  // for a token
  std::int64_t bytes = 0;              // of model.safetensors
};

struct DistillResult {
  std::vector<EvaluatedPolicy> policies;  // base, if it was asked for; teacher; student
  MeanInterval difference;                // pass@1 of the teacher less the student's, paired
  std::filesystem::path student;
  double seconds = 0.0;  // of all stages, all their executions together

  const EvaluatedPolicy& teacher_policy() const { return policies[policies.size() - 2]; }
  const EvaluatedPolicy& student_policy() const { return policies.back(); }
};

/// Runs or goes on with the stages in options.output_dir. Interrupted (tools/stop.h) at a resumable
/// point when a stop is requested. InputError as check_models (tools/distill_check.h), before
/// anything is written, and when no sample passes the filters. RewardError where a reward fails and
/// the run is to stop then, naming the stage's problem; it can go on.
DistillResult distill(const Context& context, const DistillOptions& options,
                      const DistillData& data, const WeightedRewards& rewards,
                      const DistillHooks& hooks);

}  // namespace zeroth
