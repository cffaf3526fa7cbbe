#include "rl/trace_filter.h"

#include <algorithm>
#include <set>
#include <unordered_set>

namespace zeroth {

std::int64_t longest_loop(std::span<const std::int32_t> tokens) {
  const auto size = static_cast<std::int64_t>(tokens.size());
  std::int64_t longest = 0;
  for (std::int64_t period = 1; period <= std::min(size / kRepeats, kLongestRun); ++period) {
    std::int64_t same = 0;  // tokens in a row that are those one period before
    for (std::int64_t i = period; i < size; ++i) {
      const bool repeats =
          tokens[static_cast<std::size_t>(i)] == tokens[static_cast<std::size_t>(i - period)];
      same = repeats ? same + 1 : 0;
      if (same >= (kRepeats - 1) * period) longest = std::max(longest, same + period);
    }
  }
  return longest;
}

std::vector<std::size_t> select_traces(const SampledProblem& problem,
                                       const TraceFilterOptions& options, TraceCounts& counts) {
  std::vector<std::size_t> kept;
  std::set<std::vector<std::int32_t>> seen;
  const auto prompt = static_cast<std::int64_t>(problem.prompt.size());
  for (std::size_t i = 0; i < problem.samples.size(); ++i) {
    const SampledTrace& trace = problem.samples[i];
    ++counts.sampled;
    const bool right = std::all_of(trace.rewards.begin(), trace.rewards.end(), [&](double reward) {
      return reward > options.reward_threshold;
    });
    const auto length = prompt + static_cast<std::int64_t>(trace.tokens.size());
    if (!trace.finished) {
      ++counts.unfinished;
    } else if (!right) {
      ++counts.wrong;
    } else if (length > options.max_length) {
      ++counts.too_long;
    } else if (options.max_loop_tokens > 0 &&
               longest_loop(trace.tokens) > options.max_loop_tokens) {
      ++counts.repetitive;
    } else if (seen.contains(trace.tokens)) {
      ++counts.duplicate;
    } else if (options.max_traces_per_problem > 0 &&
               static_cast<std::int64_t>(kept.size()) >= options.max_traces_per_problem) {
      ++counts.surplus;
    } else {
      ++counts.kept;
      kept.push_back(i);
      seen.insert(trace.tokens);
    }
  }
  return kept;
}

std::string normalized_question(std::string_view question) {
  std::string normal;
  for (const char character : question) {
    if (std::string_view(" \t\n\v\f\r").find(character) != std::string_view::npos) continue;
    const bool capital = character >= 'A' && character <= 'Z';
    normal += capital ? static_cast<char>(character - 'A' + 'a') : character;
  }
  return normal;
}

std::vector<Problem> without_held_out(std::span<const Problem> problems,
                                      std::span<const Problem> held_out) {
  std::unordered_set<std::string> questions;
  for (const Problem& problem : held_out) questions.insert(normalized_question(problem.question));
  std::vector<Problem> kept;
  for (const Problem& problem : problems) {
    if (!questions.contains(normalized_question(problem.question))) kept.push_back(problem);
  }
  return kept;
}

}  // namespace zeroth
