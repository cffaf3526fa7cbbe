#include "rewards/rules/tag_reward.h"

#include <array>
#include <cstddef>

#include "rewards/answers/answer_extraction.h"
#include "rewards/reward_parameters.h"
#include "rewards/rules/item_reward.h"

namespace zeroth {
namespace {

constexpr auto npos = std::string_view::npos;

double as_score(bool holds) {
  return holds ? 1.0 : 0.0;
}

// How often `part` occurs, without overlaps.
std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

// Drops the text up to the end of the first `part`; false where there is none.
bool skip_past(std::string_view& text, std::string_view part) {
  const std::size_t at = text.find(part);
  if (at == npos) return false;
  text.remove_prefix(at + part.size());
  return true;
}

// Whether `text` has an </answer> with a line of its own.
bool closes_answer(std::string_view text) {
  while (skip_past(text, "\n</answer>")) {
    if (text.empty() || text.front() == '\n') return true;
  }
  return false;
}

bool opens_answer(std::string_view& text) {
  constexpr std::string_view kOpening = "<think>\n";
  if (!text.starts_with(kOpening)) return false;
  text.remove_prefix(kOpening.size());
  return skip_past(text, "\n</think>\n<answer>\n");
}

}  // namespace

bool follows_think_format(std::string_view completion) {
  constexpr std::string_view kOpening = "<think>";
  if (!completion.starts_with(kOpening)) return false;
  completion.remove_prefix(kOpening.size());
  return completion.find(kOpening) == npos && completion.find("</think>") != npos;
}

bool follows_format_lines(std::string_view completion) {
  return opens_answer(completion) && closes_answer(completion);
}

bool follows_code_format(std::string_view completion, std::string_view language) {
  return opens_answer(completion) && skip_past(completion, "```" + std::string(language)) &&
         skip_past(completion, "```") && closes_answer(completion);
}

double tag_count(std::string_view completion) {
  constexpr std::array<std::string_view, 4> kParts = {"<think>\n", "\n</think>\n", "\n<answer>\n",
                                                      "\n</answer>"};
  double score = 0.0;
  for (const std::string_view part : kParts) {
    if (count_of(completion, part) == 1) score += 0.25;
  }
  return score;
}

std::optional<std::string_view> tagged_text(std::string_view completion, std::string_view tag) {
  const std::string name(tag);
  if (!skip_past(completion, "<" + name + ">")) return std::nullopt;
  const std::size_t end = completion.rfind("</" + name + ">");
  if (end == npos) return std::nullopt;
  return completion.substr(0, end);
}

void check_tag(std::string_view reward, std::string_view key, const std::string& tag) {
  require_parameter(!tag.empty() && tag.find_first_of("<>/") == npos, reward, key,
                    "a tag's name, without its brackets", tag.empty() ? "nothing" : tag);
}

std::unique_ptr<Reward> make_think_format_reward() {
  return make_item_reward("think_format", [](const RewardItem& item) {
    return as_score(follows_think_format(item.completion));
  });
}

std::unique_ptr<Reward> make_format_lines_reward() {
  return make_item_reward("format_lines", [](const RewardItem& item) {
    return as_score(follows_format_lines(item.completion));
  });
}

std::unique_ptr<Reward> make_code_format_reward(const CodeFormatConfig& config) {
  return make_item_reward("code_format", [language = config.language](const RewardItem& item) {
    return as_score(follows_code_format(item.completion, language));
  });
}

std::unique_ptr<Reward> make_tag_count_reward() {
  return make_item_reward("tag_count",
                          [](const RewardItem& item) { return tag_count(item.completion); });
}

std::unique_ptr<Reward> make_tag_pairs_reward(const TagPairsConfig& config) {
  check_tag("tag_pairs", "think_tag", config.think_tag);
  check_tag("tag_pairs", "answer_tag", config.answer_tag);
  return make_item_reward("tag_pairs", [config](const RewardItem& item) {
    return (tagged_text(item.completion, config.think_tag) ? 0.25 : 0.0) +
           (tagged_text(item.completion, config.answer_tag) ? 0.75 : 0.0);
  });
}

std::unique_ptr<Reward> make_boxed_reward() {
  return make_item_reward("boxed", [](const RewardItem& item) {
    const std::optional<std::string_view> box = last_boxed(item.completion);
    return as_score(box && !trimmed(*box).empty());
  });
}

}  // namespace zeroth
