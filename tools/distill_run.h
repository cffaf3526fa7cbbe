// A distillation as stages: traces (sample, score, filter), student (training), evaluation. Each is
// a function of inputs that manifest.json names by hash; what is finished from the same inputs is
// not done again, and what was interrupted goes on.
//
//   <output_dir>/manifest.json
//     samples.jsonl, samples.index   every sample (rl/trace_store.h)
//     traces.jsonl                   those that passed the filters (rl/trace_file.h)
//     student-init/                  where the student begins, when `student` is an architecture
//     student-run/                   its training run: metrics.jsonl, checkpoint-N
//     student/                       the result, a Hugging Face checkpoint
//     evaluation/{base,teacher,student}.json, evaluation.json
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "kernels/context.h"
#include "policy/prompt_template.h"
#include "rl/evaluate.h"
#include "rl/training_run.h"
#include "tools/distill_options.h"

namespace zeroth {

struct DistillData {
  std::vector<Problem> train;  // without the problems of `test`
  std::int64_t held_out = 0;   // problems that were left out of `train` for that
  std::vector<Problem> test;
  PromptTemplate prompt_template;
};

/// The problems that `options` names. InputError when every training problem is a test problem.
DistillData load_distill_data(const DistillOptions& options);

/// The same from lists.
DistillData distill_data(const DistillOptions& options, const std::vector<Problem>& train,
                         std::vector<Problem> test, PromptTemplate prompt_template);

/// How many of data.train are sampled.
std::int64_t num_sampled_problems(const DistillOptions& options, const DistillData& data);

struct DistillHooks {
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

  const EvaluatedPolicy& teacher_policy() const { return policies[policies.size() - 2]; }
  const EvaluatedPolicy& student_policy() const { return policies.back(); }
};

/// Runs or goes on with the stages in options.output_dir. Interrupted (tools/stop.h) at a resumable
/// point when a stop is requested. InputError for tokenizers that differ, prompts that are too long
/// and when no sample passes the filters.
DistillResult distill(const Context& context, const DistillOptions& options,
                      const DistillData& data, const DistillHooks& hooks);

/// Evaluations, sizes and the paired difference as tables; and as JSON.
std::string distill_table(const DistillResult& result);
boost::json::object distill_json(const DistillResult& result);
boost::json::object policy_json(const EvaluatedPolicy& policy);

}  // namespace zeroth
