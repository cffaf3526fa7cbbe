// Is the completion laid out in the tags that other projects ask for? Layout only, by the rules of
// TRL, open-r1 and NeMo-RL, so that their recipes give the same numbers here. format_reward.h has
// the strict layout of our own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "rewards/reward.h"

namespace zeroth {

/// TRL's think_format_reward: the text begins with <think>, has no other <think>, and a </think>.
bool follows_think_format(std::string_view completion);

/// open-r1's format_reward: "<think>\n" at the beginning, then "\n</think>\n<answer>\n", then a
/// line that ends with "</answer>" and begins with it. More text may follow on later lines.
bool follows_format_lines(std::string_view completion);

/// open-r1's code format: as follows_format_lines, and between the two last tags a fence ``` with
/// `language` right after it, and a second fence.
bool follows_code_format(std::string_view completion, std::string_view language);

/// open-r1's tag_count_reward: 0.25 for each of "<think>\n", "\n</think>\n", "\n<answer>\n" and
/// "\n</answer>" that occurs exactly once.
double tag_count(std::string_view completion);

/// The text between the first <tag> and the last </tag>, as in NeMo-RL; nothing where no </tag>
/// follows the first <tag>.
std::optional<std::string_view> tagged_text(std::string_view completion, std::string_view tag);

struct CodeFormatConfig {
  std::string language = "python";
};

template <class Visitor>
void visit_fields(Visitor& v, CodeFormatConfig& c) {
  v("language", c.language, "the word after the fence ```");
}

struct TagPairsConfig {
  std::string think_tag = "think";
  std::string answer_tag = "answer";
};

template <class Visitor>
void visit_fields(Visitor& v, TagPairsConfig& c) {
  v("think_tag", c.think_tag, "name of the tag around the reasoning");
  v("answer_tag", c.answer_tag, "name of the tag around the answer");
}

std::unique_ptr<Reward> make_think_format_reward();
std::unique_ptr<Reward> make_format_lines_reward();
std::unique_ptr<Reward> make_code_format_reward(const CodeFormatConfig& config);
std::unique_ptr<Reward> make_tag_count_reward();

/// NeMo-RL's format_reward: 0.25 where think_tag has a tagged_text, and 0.75 for answer_tag.
std::unique_ptr<Reward> make_tag_pairs_reward(const TagPairsConfig& config);

/// 1 where a \boxed{} or \fbox{} closes around more than white space, else 0.
std::unique_ptr<Reward> make_boxed_reward();

/// InputError unless `tag` can stand in angle brackets.
void check_tag(std::string_view reward, std::string_view key, const std::string& tag);

}  // namespace zeroth
