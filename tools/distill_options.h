// The keys of zeroth distill: a teacher's samples, the filters they pass, the student that learns
// from them, and what is evaluated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "rl/config.h"

namespace zeroth {

/// The student's training has the keys of zeroth sft. `mla_prefix` is the teacher's and the base's;
/// a student meets prompts absorbed.
struct DistillOptions : SftConfig, NamedRewardOptions {
  DistillOptions() {
    warmup_steps = 20;
    adam_beta2 = 0.95;
    save_steps = 100;
    save_total_limit = 2;
  }

  std::string teacher_model_name_or_path;
  std::string student = "tiny-dense-student";
  std::string base_model_name_or_path;
  std::int64_t num_problems = 0;
  std::int64_t num_generations = 4;
  std::int64_t max_completion_length = 56;
  double temperature = 1.0;
  std::vector<std::string> reward_funcs;
  double reward_threshold = 0.99;
  std::int64_t max_loop_tokens = 64;
  std::int64_t max_traces_per_problem = 4;
  std::string eval_dataset_name;
  std::string eval_dataset_split;
  std::int64_t num_eval_problems = 0;
  std::int64_t num_eval_generations = 16;
  std::int64_t max_num_seqs = 800;
  std::int64_t page_size = 16;
  double kd_weight = 0.0;
  bool json = false;
};

/// Passes on every key but some.
template <class Visitor>
class VisitorWithout {
 public:
  VisitorWithout(Visitor& visitor, std::initializer_list<std::string_view> keys)
      : visitor_(visitor), keys_(keys) {}
  template <class Value>
  void operator()(std::string_view key, Value& value, std::string_view help,
                  std::initializer_list<std::string_view> choices = {}) {
    if (std::find(keys_.begin(), keys_.end(), key) == keys_.end())
      visitor_(key, value, help, choices);
  }

 private:
  Visitor& visitor_;
  std::vector<std::string_view> keys_;
};

template <class Visitor>
void visit_fields(Visitor& v, DistillOptions& c) {
  v("teacher_model_name_or_path", c.teacher_model_name_or_path,
    "directory of the checkpoint that is sampled");
  v("student", c.student,
    "directory of a checkpoint, or a preset of zeroth init, which begins with random "
    "weights");
  v("base_model_name_or_path", c.base_model_name_or_path,
    "checkpoint to evaluate beside the teacher and the student; empty = none");
  v("num_problems", c.num_problems, "problems that are sampled, chosen by the seed; 0 = all");
  v("num_generations", c.num_generations, "samples of one problem");
  v("max_completion_length", c.max_completion_length, "tokens of the longest completion");
  v("temperature", c.temperature, "divides the logits before sampling, in evaluations too");
  v("reward_funcs", c.reward_funcs,
    "rewards by name, FILE.so, python:FILE:FUNCTION or exec:FILE; all that apply have to be above "
    "reward_threshold; an evaluation counts as right what the first gives more than 0.5");
  visit_fields(v, static_cast<NamedRewardOptions&>(c));
  v("reward_threshold", c.reward_threshold,
    "a trace is kept when every reward that applies is above it");
  v("max_loop_tokens", c.max_loop_tokens,
    "tokens that may go by saying the same four times or more; 0 = any number");
  v("max_traces_per_problem", c.max_traces_per_problem,
    "traces of one problem that are kept, the first; 0 = all");
  v("kd_weight", c.kd_weight,
    "share of the loss that is the forward KL divergence from the teacher over the whole "
    "vocabulary; 0 = the traces' tokens alone");
  v("eval_dataset_name", c.eval_dataset_name,
    "test problems, which are never sampled: JSONL file or generator; empty = as dataset_name, "
    "which then has to be a generator");
  v("eval_dataset_split", c.eval_dataset_split, "split of a generator; empty = test");
  v("num_eval_problems", c.num_eval_problems, "problems of an evaluation, the first; 0 = all");
  v("num_eval_generations", c.num_eval_generations, "samples of one evaluated problem");
  v("max_num_seqs", c.max_num_seqs, "sequences decoded at once; bounds memory");
  v("page_size", c.page_size, "tokens of one page of the cache");
  v("json", c.json, "print one JSON object");
  v("output_dir", c.output_dir,
    "directory of the run: config.toml, samples.jsonl, traces.jsonl, student-run, student, "
    "evaluation.json, report.html; what is finished in it is not done again");
  // Which checkpoint is trained and whether it goes on are the command's own decisions, and it runs
  // in one process.
  VisitorWithout<Visitor> rest(v, {"output_dir", "model_name_or_path", "resume_from_checkpoint",
                                   "allow_mixed_numerics", "exact_ranks", "ranks_timeout"});
  visit_fields(rest, static_cast<SftConfig&>(c));
}

/// InputError naming the key, what it has to be and what it is.
void check(const DistillOptions& config);

}  // namespace zeroth
