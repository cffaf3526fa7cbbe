#include "rl/trace_filter.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_set>

namespace zeroth {
namespace {

// In UTF-8: Unicode's White_Space (PropList.txt), then the zero-width space and the byte order
// mark, which nobody sees either.
constexpr std::string_view kWhiteSpace[] = {
    " ",
    "\t",
    "\n",
    "\v",
    "\f",
    "\r",
    "\xC2\x85",      // U+0085 next line
    "\xC2\xA0",      // U+00A0 no-break space
    "\xE1\x9A\x80",  // U+1680 ogham space mark
    "\xE2\x80\x80",  // U+2000 to U+200A: en quad to hair space
    "\xE2\x80\x81",
    "\xE2\x80\x82",
    "\xE2\x80\x83",
    "\xE2\x80\x84",
    "\xE2\x80\x85",
    "\xE2\x80\x86",
    "\xE2\x80\x87",
    "\xE2\x80\x88",
    "\xE2\x80\x89",
    "\xE2\x80\x8A",
    "\xE2\x80\xA8",  // U+2028 line separator
    "\xE2\x80\xA9",  // U+2029 paragraph separator
    "\xE2\x80\xAF",  // U+202F narrow no-break space
    "\xE2\x81\x9F",  // U+205F medium mathematical space
    "\xE3\x80\x80",  // U+3000 ideographic space
    "\xE2\x80\x8B",  // U+200B zero-width space
    "\xEF\xBB\xBF",  // U+FEFF byte order mark
};

// Bytes of the white space that `text` begins with; 0 where it begins with none.
std::size_t white_space_size(std::string_view text) {
  for (const std::string_view space : kWhiteSpace) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

}  // namespace

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
    const bool right = std::all_of(trace.rewards.begin(), trace.rewards.end(),
                                   [&](const std::optional<double>& reward) {
                                     return !reward || *reward > options.reward_threshold;
                                   });
    const auto length = prompt + static_cast<std::int64_t>(trace.tokens.size());
    if (!trace.finished) {
      ++counts.unfinished;
    } else if (!trace.scored) {
      ++counts.unscored;
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
  while (!question.empty()) {
    if (const std::size_t size = white_space_size(question); size > 0) {
      question.remove_prefix(size);
      continue;
    }
    const char character = question.front();
    const bool capital = character >= 'A' && character <= 'Z';
    normal += capital ? static_cast<char>(character - 'A' + 'a') : character;
    question.remove_prefix(1);
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
