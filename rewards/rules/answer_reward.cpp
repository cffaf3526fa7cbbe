#include "rewards/rules/answer_reward.h"

#include <algorithm>
#include <utility>

#include "rewards/answers/characters.h"
#include "rewards/math/parser.h"
#include "rewards/reward_parameters.h"
#include "rewards/rules/item_reward.h"
#include "rewards/rules/math_reward.h"
#include "rewards/rules/tag_reward.h"

namespace zeroth {
namespace {

// Whether a reference is what TRL can parse: in a box, or mathematics without words in it.
bool is_readable(std::string_view reference) {
  if (last_boxed(reference)) return true;
  const std::optional<math::Expression> expression = math::parse_expression(reference);
  return expression && !math::any_below(*expression, expression->root, [](const math::Node& node) {
           return node.kind == math::Kind::words;
         });
}

std::string_view boxed_or_whole(std::string_view text) {
  return last_boxed(text).value_or(text);
}

// Letters and digits in lower case.
std::u32string alphanumeric(std::string_view text) {
  std::u32string result;
  while (!text.empty()) {
    const char32_t c = take_character(text);
    if (is_alphanumeric(c)) result.push_back(to_lower_case(c));
  }
  return result;
}

// The text after the reasoning; nothing where it does not end.
std::optional<std::string_view> after_reasoning(std::string_view text,
                                                const std::vector<std::string>& delimiters) {
  for (const std::string& delimiter : delimiters) {
    const std::size_t at = text.rfind(delimiter);
    if (at != std::string_view::npos) return text.substr(at + delimiter.size());
  }
  return std::nullopt;
}

ReferenceRule references_of(AnswerJudge judge) {
  return [judge = std::move(judge)](std::string_view reference) {
    return judge.wanted_instead_of(reference);
  };
}

}  // namespace

AnswerJudge::AnswerJudge(ExtractionConfig extraction, bool skip_unreadable)
    : accuracy_(make_accuracy_reward({.extraction = std::move(extraction)})),
      skip_unreadable_(skip_unreadable) {}

std::optional<double> AnswerJudge::judge(std::string_view text, std::string_view reference) const {
  if (skip_unreadable_ && !is_readable(reference)) return std::nullopt;
  const RewardItem item{.completion = text, .reference = reference};
  return accuracy_->score({&item, 1}).at(0);
}

std::string AnswerJudge::wanted_instead_of(std::string_view reference) const {
  return skip_unreadable_ ? std::string() : accuracy_->wanted_instead_of(reference);
}

std::unique_ptr<Reward> make_accuracy_reward_of(const AccuracyParameters& parameters,
                                                const ExtractionConfig& extraction) {
  if (parameters.unreadable_reference == "text")
    return make_accuracy_reward({.extraction = extraction});
  return make_item_reward("accuracy",
                          [judge = AnswerJudge(extraction, true)](const RewardItem& item) {
                            return judge.judge(item.completion, item.reference);
                          });
}

std::unique_ptr<Reward> make_reasoning_accuracy_reward(const ReasoningAccuracyConfig& config,
                                                       const ExtractionConfig& extraction) {
  const bool usable =
      !config.reasoning_delimiters.empty() &&
      std::none_of(config.reasoning_delimiters.begin(), config.reasoning_delimiters.end(),
                   [](const std::string& delimiter) { return delimiter.empty(); });
  require_parameter(usable, "reasoning_accuracy", "reasoning_delimiters",
                    "at least one text, none of them empty",
                    std::to_string(config.reasoning_delimiters.size()) + " texts");
  const AnswerJudge judge(extraction, config.unreadable_reference == "skip");
  return make_item_reward(
      "reasoning_accuracy",
      [delimiters = config.reasoning_delimiters,
       judge](const RewardItem& item) -> std::optional<double> {
        const auto rest = after_reasoning(item.completion, delimiters);
        return rest ? judge.judge(*rest, item.reference) : 0.0;
      },
      references_of(judge));
}

std::unique_ptr<Reward> make_exact_answer_reward(const AnswerTagConfig& config) {
  check_tag("exact_answer", "answer_tag", config.answer_tag);
  return make_item_reward(
      "exact_answer",
      [tag = config.answer_tag](const RewardItem& item) {
        const auto answer = tagged_text(item.completion, tag);
        return answer && alphanumeric(*answer) == alphanumeric(item.reference) ? 1.0 : 0.0;
      },
      [](std::string_view reference) -> std::string {
        return alphanumeric(reference).empty() ? "an answer with a letter or a digit" : "";
      });
}

std::unique_ptr<Reward> make_math_expression_reward(const AnswerTagConfig& config) {
  check_tag("math_expression", "answer_tag", config.answer_tag);
  return make_item_reward(
      "math_expression",
      [tag = config.answer_tag](const RewardItem& item) {
        const auto answer = tagged_text(item.completion, tag);
        return answer && answers_equal(boxed_or_whole(*answer), boxed_or_whole(item.reference))
                   ? 1.0
                   : 0.0;
      },
      references_of(AnswerJudge()));
}

}  // namespace zeroth
