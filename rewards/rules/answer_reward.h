// Is the answer right, where the answer stands in a place of its own? Rules of TRL and NeMo-RL;
// math_reward.h has `accuracy` itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/answers/answer_extraction.h"
#include "rewards/reward.h"

namespace zeroth {

/// What `accuracy` says of one text.
class AnswerJudge {
 public:
  /// With `skip_unreadable`, nothing is said where the reference is in no box and no
  /// mathematics, as in TRL.
  explicit AnswerJudge(ExtractionConfig extraction = {}, bool skip_unreadable = false);

  /// 1 or 0; nothing for a reference that is skipped.
  std::optional<double> judge(std::string_view text, std::string_view reference) const;

  /// Reward::wanted_instead_of; empty for a reference that is skipped.
  std::string wanted_instead_of(std::string_view reference) const;

 private:
  std::shared_ptr<const Reward> accuracy_;
  bool skip_unreadable_;
};

struct AccuracyParameters {
  std::string unreadable_reference = "text";
};

template <class Visitor>
void visit_fields(Visitor& v, AccuracyParameters& c) {
  v("unreadable_reference", c.unreadable_reference,
    "a reference in no box that is no mathematics: text = is compared as text, skip = the reward "
    "does not apply",
    {"text", "skip"});
}

/// make_accuracy_reward; where references are skipped, as TRL's accuracy_reward does it.
std::unique_ptr<Reward> make_accuracy_reward_of(const AccuracyParameters& parameters,
                                                const ExtractionConfig& extraction);

struct ReasoningAccuracyConfig {
  std::vector<std::string> reasoning_delimiters = {"</think>"};
  std::string unreadable_reference = "text";
};

template <class Visitor>
void visit_fields(Visitor& v, ReasoningAccuracyConfig& c) {
  v("reasoning_delimiters", c.reasoning_delimiters,
    "texts that end the reasoning; the first of them that occurs counts");
  v("unreadable_reference", c.unreadable_reference,
    "a reference in no box that is no mathematics: text = is compared as text, skip = the reward "
    "does not apply",
    {"text", "skip"});
}

/// TRL's reasoning_accuracy_reward: what `accuracy` says of the text after the last occurrence of a
/// delimiter; 0 where none occurs.
std::unique_ptr<Reward> make_reasoning_accuracy_reward(const ReasoningAccuracyConfig& config,
                                                       const ExtractionConfig& extraction = {});

struct AnswerTagConfig {
  std::string answer_tag = "answer";
};

template <class Visitor>
void visit_fields(Visitor& v, AnswerTagConfig& c) {
  v("answer_tag", c.answer_tag, "name of the tag around the answer");
}

/// NeMo-RL's exact_answer_alphanumeric_reward: 1 where the text between the first <answer_tag> and
/// the last </answer_tag> has the letters and digits of the reference, in this order and whatever
/// their case; what else stands there does not count.
std::unique_ptr<Reward> make_exact_answer_reward(const AnswerTagConfig& config);

/// NeMo-RL's math_expression_reward: 1 where that text equals the reference as mathematics
/// (answers_equal).
std::unique_ptr<Reward> make_math_expression_reward(const AnswerTagConfig& config);

}  // namespace zeroth
