// completions/step-000040.jsonl: what was sampled in a step and how it was scored, one line a
// completion.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

struct NamedReward {
  std::string name;
  double value = 0.0;  // NaN, written as null: the rule gave no score
};

struct CompletionRecord {
  std::string prompt;
  std::string completion;
  std::string reference;             // the problem's answer
  std::vector<NamedReward> rewards;  // by rule, before weighting
  double reward = 0.0;               // weighted sum
  double advantage = 0.0;
  std::int64_t num_tokens = 0;  // of the completion
  FinishReason finish_reason = FinishReason::stop;
};

/// Writes `output_dir`/completions/step-<six digits or more>.jsonl whole or not at all, replacing
/// the file of an earlier execution of the step, and returns its path. A line has the fields of
/// CompletionRecord in their order, `rewards` as an object by name. Bytes that are not UTF-8 become
/// U+FFFD. std::invalid_argument for a negative step, std::system_error when the disk is full.
std::filesystem::path write_completions(const std::filesystem::path& output_dir, std::int64_t step,
                                        std::span<const CompletionRecord> records);

/// The steps whose completions `output_dir` holds, ascending; none where there are no completions.
std::vector<std::int64_t> completion_steps(const std::filesystem::path& output_dir);
std::filesystem::path completions_file(const std::filesystem::path& output_dir, std::int64_t step);

/// Reads a file that write_completions() wrote. InputError naming file:line and what is wrong.
std::vector<CompletionRecord> read_completions(const std::filesystem::path& file);

}  // namespace zeroth
