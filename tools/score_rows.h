// Completions that stand in a JSONL file, for zeroth score and zeroth reward test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

/// Owns the texts that a RewardItem looks at.
struct ScoreRow {
  std::string prompt, completion, reference, columns_json;
  std::int64_t num_tokens = 0;
  std::int64_t max_tokens = 0;
  FinishReason finish_reason = FinishReason::stop;
  std::size_t line = 0;  // of the file
  /// The row's own `score`, what the reward should give: not_applicable where it is null.
  std::optional<RewardOutcome> expected = {};

  RewardItem item() const;
};

/// Rows {"prompt", "completion", "reference" or "answer", …}; blank lines are passed over. A prompt
/// or completion may be a conversation, a list of {"role", "content"}: its contents, a line each,
/// are the text. InputError names the line.
std::vector<ScoreRow> read_score_rows(const std::string& file);

}  // namespace zeroth
