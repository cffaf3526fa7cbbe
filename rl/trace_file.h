// traces.jsonl: what a student learns from, a line a trace.
//
//   {"id": …, "question": …, "answer": …, "solution": the completion's text, "problem": index in
//    the data set, "sample": index in its group, "rewards": {name: score, or null where it does not
//    apply}, "prompt_ids": […], "completion_ids": […]}
//
// Training reads the ids: text is never tokenised again. The text columns are those that
// `zeroth sft --dataset_name traces.jsonl` and people read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rl/learner.h"
#include "rl/trace_filter.h"
#include "rl/trace_store.h"

namespace zeroth {

struct WrittenTraces {
  TraceCounts counts;
  std::int64_t problems = 0;              // that were filtered
  std::int64_t problems_with_traces = 0;  // of them, with a trace that is kept
  std::int64_t tokens = 0;                // completion tokens of the kept traces
};

/// Filters the samples of the first `num_problems` of `store` into `file`, whole or not at all, in
/// the order of the store. `reward_names`: those of SampledTrace::rewards.
WrittenTraces write_traces(const TraceStore& store, std::int64_t num_problems,
                           const TraceFilterOptions& options,
                           std::span<const std::string_view> reward_names,
                           const std::filesystem::path& file);

/// The traces of `file` as training examples: a group a trace, in the order of the file. InputError
/// naming file and line.
std::vector<TrainingGroup> read_traces(const std::filesystem::path& file);

}  // namespace zeroth
