// A reward looks at one finished completion and gives a score. Extension point: one class, one
// factory, one row in registry.cpp; or a file of the user's own (plugin_host.h, script_host.h,
// program_host.h).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "system/sandbox.h"

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
  // the tokens themselves; empty where only the text is known
  std::span<const std::int32_t> completion_ids = {};
};

/// What became of an item in the hands of a reward. Only the first two are no failure.
enum class RewardResult {
  scored,
  not_applicable,  // the reward has nothing to say about this item
  raised,          // an exception, or an error that the reward reported
  not_finite,      // the score is NaN or infinite
  wrong_count,     // another number of scores than items
  crash,           // a signal ended the reward's process
  exit,            // the reward ended its process
  hang,            // no answer within the time
  memory,          // the reward needed more memory than it may have
  garbled,         // the reward's process answered with what is no answer
};

inline constexpr RewardResult kRewardFailures[] = {
    RewardResult::raised, RewardResult::not_finite, RewardResult::wrong_count,
    RewardResult::crash,  RewardResult::exit,       RewardResult::hang,
    RewardResult::memory, RewardResult::garbled};

std::string_view result_name(RewardResult result);
bool is_failure(RewardResult result);

struct RewardOutcome {
  RewardResult result = RewardResult::scored;
  double score = std::numeric_limits<double>::quiet_NaN();  // finite where scored, else NaN
  std::string message = {};                                 // of a failure
};

/// What is done about an item that a reward failed on.
enum class OnRewardError {
  stop,     // nothing is scored: RewardError
  exclude,  // the item has no score
  score,    // this reward's score of it is one that was set beforehand
};

/// What a run does about failures.
struct RewardErrorPolicy {
  OnRewardError action = OnRewardError::stop;
  double score = 0.0;  // finite; under OnRewardError::score
};

/// "stop", "exclude" or a finite number, the score. InputError naming `source` and `field`
/// otherwise.
RewardErrorPolicy parse_reward_error_policy(std::string_view text, const std::string& source,
                                            const std::string& field);
/// The same text again, the number at its shortest.
std::string reward_error_policy_name(const RewardErrorPolicy& policy);

/// A reward failed.
class RewardError : public std::runtime_error {
 public:
  /// `where` names the item to the reader ("item 3").
  RewardError(std::string reward, std::size_t item, RewardOutcome outcome,
              const std::string& where);
  RewardError(std::string reward, std::size_t item, RewardOutcome outcome)
      : RewardError(std::move(reward), item, std::move(outcome), "item " + std::to_string(item)) {}
  const std::string& reward() const noexcept { return reward_; }  // its name
  std::size_t item() const noexcept { return item_; }             // index of the item
  const RewardOutcome& outcome() const noexcept { return outcome_; }

 private:
  std::string reward_;
  std::size_t item_;
  RewardOutcome outcome_;
};

/// Scores completions. Pure: same items, same scores; safe to call from several threads.
class Reward {
 public:
  virtual ~Reward() = default;
  virtual std::string_view name() const = 0;
  /// scores[i] belongs to items[i]; every score is finite.
  virtual std::vector<double> score(std::span<const RewardItem> items) const = 0;

  /// The same for rewards that may fail or have nothing to say: outcomes[i] belongs to items[i].
  /// Under `stop` the first failure is thrown as a RewardError; the other two are alike here. As it
  /// stands here, every item gets what score() gives it.
  virtual std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                           OnRewardError on_error) const;

  /// How often a process of the reward's has been started anew so far.
  virtual std::int64_t num_restarts() const { return 0; }

  /// How far its process is held; nothing for a reward that has none.
  virtual std::optional<Isolation> isolation() const { return std::nullopt; }

  /// Seconds that each call of the reward's process took since this was asked last; empty for a
  /// reward that has none.
  virtual std::vector<double> take_call_seconds() const { return {}; }

  /// Tries the reward before a run. InputError for what cannot be right on any item.
  virtual void try_on(std::span<const RewardItem> /*items*/) const {}

  /// The kind of reference without which no completion can be right, for a reader ("an answer such
  /// as 42 or \\frac{1}{2}"); empty where `reference` is of it.
  virtual std::string wanted_instead_of(std::string_view /*reference*/) const { return {}; }
};

/// The outcome of a number that a reward gave.
RewardOutcome outcome_of_score(double score);

/// The first bytes of `text` in quotes, escaped as in JSON, for messages.
std::string quoted_start(std::string_view text);

}  // namespace zeroth
