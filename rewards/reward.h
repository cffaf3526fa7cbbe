// A reward looks at one finished completion and gives a score. Extension point: one class, one
// factory, one row in registry.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace zeroth {

enum class FinishReason { stop, length };  // ended with an end-of-sequence token; cut at the limit

struct RewardItem {
  std::string_view prompt = {};        // the question as the policy saw it
  std::string_view completion = {};    // decoded completion, without the end-of-sequence token
  std::string_view reference = {};     // Problem::answer
  std::string_view columns_json = {};  // Problem::columns_json
  std::int64_t num_tokens = 0;  // tokens of the completion, the end-of-sequence token included
  std::int64_t max_tokens = 0;  // max_completion_length of the run
  FinishReason finish_reason = FinishReason::stop;
};

/// Scores completions. Pure: same items, same scores; safe to call from several threads.
class Reward {
 public:
  virtual ~Reward() = default;
  virtual std::string_view name() const = 0;
  /// scores[i] belongs to items[i]; every score is finite.
  virtual std::vector<double> score(std::span<const RewardItem> items) const = 0;
};

}  // namespace zeroth
