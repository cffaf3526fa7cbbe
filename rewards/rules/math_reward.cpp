#include "rewards/rules/math_reward.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "rewards/answers/exact_number.h"
#include "rewards/math/equality.h"
#include "rewards/math/parser.h"
#include "system/ascii.h"

namespace zeroth {
namespace {

struct Replacement {
  std::string_view from;
  std::string_view to;
  bool is_command;  // letters follow the backslash: only a whole command matches (\left, not
                    // \leftarrow)
};

constexpr std::array<Replacement, 9> kReplacements = {{{"\\left", "", true},
                                                       {"\\right", "", true},
                                                       {"\\dfrac", "\\frac", true},
                                                       {"\\tfrac", "\\frac", true},
                                                       {"\\!", "", false},
                                                       {"\\,", "", false},
                                                       {"\\;", "", false},
                                                       {"\\:", "", false},
                                                       {"\\ ", "", false}}};

const Replacement* replacement_at(std::string_view rest) {
  for (const Replacement& candidate : kReplacements) {
    if (!rest.starts_with(candidate.from)) continue;
    const bool longer_command = candidate.is_command && rest.size() > candidate.from.size() &&
                                is_letter(rest[candidate.from.size()]);
    if (!longer_command) return &candidate;
  }
  return nullptr;
}

std::string_view without_frame(std::string_view text) {
  text = trimmed(text);
  if (text.ends_with('.')) text = trimmed(text.substr(0, text.size() - 1));
  if (text.size() >= 2 && text.front() == '$' && text.back() == '$') {
    text = text.substr(1, text.size() - 2);
  }
  return trimmed(text);
}

// An integer or a decimal, as it stands; not a fraction, which a decimal may stand for rounded.
bool is_plain(std::string_view number) {
  return number.find_first_not_of("0123456789.,+- $") == std::string_view::npos;
}

class AccuracyReward final : public Reward {
 public:
  explicit AccuracyReward(AccuracyRewardConfig config) : config_(std::move(config)) {}

  std::string_view name() const override { return "accuracy"; }

  std::string wanted_instead_of(std::string_view reference) const override {
    if (is_answer(reference_answer(reference))) return {};
    return "an answer that can be read, such as 42, \\frac{1}{2}, (1, 2) or a word";
  }

  std::vector<double> score(std::span<const RewardItem> items) const override {
    std::vector<double> scores;
    scores.reserve(items.size());
    for (const RewardItem& item : items) {
      const std::optional<Extraction> answer = extract_answer(item.completion, config_.extraction);
      const std::string reference = reference_answer(item.reference);
      scores.push_back(answer && answers_equal(answer->text, reference) ? 1.0 : 0.0);
    }
    return scores;
  }

 private:
  AccuracyRewardConfig config_;
};

}  // namespace

std::string normalized_answer(std::string_view text) {
  text = without_frame(text);
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    if (const Replacement* replacement = replacement_at(text)) {
      result += replacement->to;
      text.remove_prefix(replacement->from.size());
      continue;
    }
    const bool is_space = trimmed(text.substr(0, 1)).empty();
    if (!is_space) result.push_back(text.front());
    text.remove_prefix(1);
  }
  return result;
}

bool is_answer(std::string_view text) {
  return parse_exact_number(text) || math::parse_expression(text);
}

AnswerVerdict judge_answer(std::string_view answer, std::string_view reference,
                           const AnswerPolicy& policy) {
  // The usual case, numbers, without the parser.
  const std::optional<ExactNumber> answer_number = parse_exact_number(answer);
  const std::optional<ExactNumber> reference_number = parse_exact_number(reference);
  if (answer_number && reference_number) {
    if (*answer_number == *reference_number) return {.equal = true, .why = "same number"};
    const bool may_differ = policy.equality.decimals > 0 || policy.equality.decimal_comma;
    if (is_plain(answer) && is_plain(reference) && !may_differ) {
      return {.equal = false, .why = "different numbers"};
    }
  }
  const math::Comparison comparison = math::compare_answers(answer, reference, policy.equality);
  const std::string_view why = math::reason_name(comparison.reason);
  if (!comparison.equal) return {.equal = false, .why = why};
  // Where numbers are asked for, the question itself would be right: 312+176 for 488.
  const bool asks_for_number = policy.evaluated && reference_number && is_plain(reference);
  if (asks_for_number && math::is_unevaluated(answer)) {
    return {.equal = false, .why = "arithmetic left to do"};
  }
  return {.equal = true, .why = why};
}

bool answers_equal(std::string_view answer, std::string_view reference) {
  return judge_answer(answer, reference).equal;
}

std::string reference_answer(std::string_view reference) {
  return boxed_answer(reference).value_or(std::string(reference));
}

std::unique_ptr<Reward> make_accuracy_reward(AccuracyRewardConfig config) {
  return std::make_unique<AccuracyReward>(std::move(config));
}

}  // namespace zeroth
