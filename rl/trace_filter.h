// Which samples of a teacher a student learns from, and which problems must not be sampled at all.
//
// A sample meets the filters in this order and is counted at the first that drops it:
//
//   unfinished  cut at max_completion_length
//   unscored    no reward applies, or one failed on it
//   wrong       some reward that applies gives no more than reward_threshold
//   too_long    prompt and completion are more than max_length tokens
//   repetitive  some stretch of tokens says the same kRepeats times or more (longest_loop)
//   duplicate   the tokens of a sample of the same problem that is kept
//   surplus     the problem has max_traces_per_problem kept samples
//
// Goal: pure functions of the samples, so that other filters need no other samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/problem.h"
#include "rl/trace_store.h"

namespace zeroth {

struct TraceFilterOptions {
  double reward_threshold = 0.99;
  std::int64_t max_length = 512;
  std::int64_t max_loop_tokens = 64;        // longest stretch that may repeat itself; 0: any
  std::int64_t max_traces_per_problem = 4;  // 0: any number
};

/// Samples by what became of them; `sampled` is the sum of the others.
struct TraceCounts {
  std::int64_t sampled = 0;
  std::int64_t unfinished = 0;
  std::int64_t unscored = 0;
  std::int64_t wrong = 0;
  std::int64_t too_long = 0;
  std::int64_t repetitive = 0;
  std::int64_t duplicate = 0;
  std::int64_t surplus = 0;
  std::int64_t kept = 0;
};

/// Indices of the samples of `problem` that are kept, ascending; `counts` is added to.
std::vector<std::size_t> select_traces(const SampledProblem& problem,
                                       const TraceFilterOptions& options, TraceCounts& counts);

/// Length of the longest stretch of `tokens` that is one run of tokens kRepeats times in a row or
/// more often; runs of up to kLongestRun tokens are looked for. 0 when there is none.
std::int64_t longest_loop(std::span<const std::int32_t> tokens);
inline constexpr std::int64_t kRepeats = 4;
inline constexpr std::int64_t kLongestRun = 512;

/// `question` without what a copy may change: ASCII letters small (letters beyond ASCII stay as
/// they are), white space gone: Unicode's, and what has no width.
std::string normalized_question(std::string_view question);

/// `problems` without those whose question stands, normalised, among `held_out`.
std::vector<Problem> without_held_out(std::span<const Problem> problems,
                                      std::span<const Problem> held_out);

}  // namespace zeroth
