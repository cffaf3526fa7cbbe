#include "rewards/rules/text_reward.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "rewards/answers/characters.h"
#include "rewards/reward_parameters.h"
#include "rewards/rules/item_reward.h"
#include "system/ascii.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

constexpr auto npos = std::string_view::npos;

// Numbers for things: the same number for the same thing, counted from 0.
template <class Thing>
class Numbering {
 public:
  std::uint32_t of(const Thing& thing) {
    return numbers_.try_emplace(thing, static_cast<std::uint32_t>(numbers_.size())).first->second;
  }
  std::size_t size() const { return numbers_.size(); }

 private:
  std::unordered_map<Thing, std::uint32_t> numbers_;
};

// The words of a text in lower case, as numbers.
std::vector<std::uint32_t> numbered_words(std::string_view text) {
  Numbering<std::u32string> numbering;
  std::vector<std::uint32_t> words;
  std::u32string word;
  const auto finish_word = [&] {
    if (!word.empty()) words.push_back(numbering.of(word));
    word.clear();
  };
  while (!text.empty()) {
    const char32_t c = take_character(text);
    if (is_white_space(c)) {
      finish_word();
    } else {
      word.push_back(to_lower_case(c));
    }
  }
  finish_word();
  return words;
}

std::vector<std::uint32_t> numbered_tokens(std::span<const std::int32_t> tokens) {
  std::vector<std::uint32_t> units;
  units.reserve(tokens.size());
  for (const std::int32_t token : tokens) units.push_back(static_cast<std::uint32_t>(token));
  return units;
}

std::optional<double> repetition_penalty(const RepetitionPenaltyConfig& config,
                                         const RewardItem& item) {
  const bool tokens = config.unit == "tokens";
  if (tokens && item.completion_ids.empty() && !item.completion.empty()) return std::nullopt;
  std::vector<std::uint32_t> units =
      tokens ? numbered_tokens(item.completion_ids) : numbered_words(item.completion);
  const auto n = static_cast<std::size_t>(config.ngram_size);
  if (units.size() < n) return 0.0;
  const auto total = static_cast<double>(units.size() - n + 1);
  const auto different = static_cast<double>(count_different_ngrams(std::move(units), n));
  return (1.0 - different / total) * config.max_penalty;
}

std::size_t digits_at(std::string_view text) {
  return std::min(text.find_first_not_of("0123456789"), text.size());
}

// Bytes of the mark of a step that `text` begins with; 0 where it begins with none.
std::size_t step_at(std::string_view text) {
  constexpr std::array<std::string_view, 6> kMarks = {"\n-",     "\n*",   "First,",
                                                      "Second,", "Next,", "Finally,"};
  for (const std::string_view mark : kMarks) {
    if (text.starts_with(mark)) return mark.size();
  }
  constexpr std::string_view kStep = "Step ";
  if (!text.starts_with(kStep)) return 0;
  const std::size_t digits = digits_at(text.substr(kStep.size()));
  const std::size_t end = kStep.size() + digits;
  return digits > 0 && end < text.size() && text[end] == ':' ? end + 1 : 0;
}

// Drops what `text` begins with up to the end of the next `closing`; false where there is none.
bool skip_past(std::string_view& text, std::string_view closing, std::size_t from) {
  const std::size_t end = text.find(closing, from);
  if (end == npos) return false;
  text.remove_prefix(end + closing.size());
  return true;
}

// Drops a command, mathematics or a tag that `text` begins with; false where it begins with none.
class MarkupSkipper {
 public:
  bool skip(std::string_view& text) {
    if (text.starts_with("$$") && skip_closed(text, "$$", double_dollars_)) return true;
    if (text[0] == '$') return skip_closed(text, "$", dollars_);
    if (text.starts_with("\\(")) return skip_closed(text, "\\)", parentheses_);
    if (text.starts_with("\\[")) return skip_closed(text, "\\]", brackets_);
    if (text[0] == '\\') return skip_command(text);
    return text[0] == '<' && skip_tag(text);
  }

 private:
  // `none_left` remembers a search that failed, so that all of them together are linear.
  static bool skip_closed(std::string_view& text, std::string_view closing, bool& none_left) {
    if (none_left) return false;
    if (skip_past(text, closing, closing.size())) return true;
    none_left = true;
    return false;
  }

  static bool skip_command(std::string_view& text) {
    std::size_t end = 1;
    while (end < text.size() && is_letter(text[end])) ++end;
    text.remove_prefix(end);
    return true;
  }

  // <think>, </answer>: letters, digits, _ and - between the brackets.
  static bool skip_tag(std::string_view& text) {
    std::size_t end = text.starts_with("</") ? 2 : 1;
    const std::size_t name = end;
    while (end < text.size() &&
           (is_letter(text[end]) || is_digit(text[end]) || text[end] == '_' || text[end] == '-'))
      ++end;
    if (end == name || end == text.size() || text[end] != '>') return false;
    text.remove_prefix(end + 1);
    return true;
  }

  bool double_dollars_ = false;
  bool dollars_ = false;
  bool parentheses_ = false;
  bool brackets_ = false;
};

double share_of_scripts(std::string_view text, const std::vector<bool>& wanted) {
  std::size_t letters = 0;
  std::size_t right = 0;
  MarkupSkipper skipper;
  while (!text.empty()) {
    if (skipper.skip(text)) continue;
    const std::optional<std::size_t> script = script_of(take_character(text));
    if (!script) continue;
    ++letters;
    if (wanted[*script]) ++right;
  }
  return letters == 0 ? 1.0 : static_cast<double>(right) / static_cast<double>(letters);
}

std::vector<bool> wanted_scripts(const std::vector<std::string>& names) {
  const std::vector<std::string> known(script_names().begin(), script_names().end());
  require_parameter(!names.empty(), "language", "scripts", "at least one script", "none");
  std::vector<bool> wanted(known.size(), false);
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    std::string list;
    for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
    require_parameter(found != known.end(), "language", "scripts",
                      "of " + list + "; nearest is " + nearest_name(name, known), name);
    wanted[static_cast<std::size_t>(found - known.begin())] = true;
  }
  return wanted;
}

}  // namespace

std::size_t count_different_ngrams(std::vector<std::uint32_t> units, std::size_t n) {
  // units[i] stands for the n-gram of `length` units that begins at i. Two of them that overlap or
  // touch stand for a longer one.
  std::size_t different = 0;
  for (std::size_t length = 0; length < n;) {
    const std::size_t step = length == 0 ? 0 : std::min(length, n - length);
    Numbering<std::uint64_t> numbering;
    for (std::size_t i = 0; i + step < units.size(); ++i)
      units[i] = numbering.of(std::uint64_t{units[i]} << 32 | units[i + step]);
    units.resize(units.size() - step);
    length = length == 0 ? 1 : length + step;
    different = numbering.size();
  }
  return different;
}

std::unique_ptr<Reward> make_repetition_penalty_reward(const RepetitionPenaltyConfig& config) {
  require_parameter(config.ngram_size >= 1, "repetition_penalty", "ngram_size", "at least 1",
                    config.ngram_size);
  require_parameter(config.max_penalty <= 0.0, "repetition_penalty", "max_penalty", "at most 0",
                    config.max_penalty);
  return make_item_reward("repetition_penalty", [config](const RewardItem& item) {
    return repetition_penalty(config, item);
  });
}

std::size_t count_reasoning_steps(std::string_view completion) {
  std::size_t count = 0;
  const std::size_t digits = digits_at(completion);
  if (digits > 0 && digits < completion.size() && completion[digits] == '.') {
    ++count;
    completion.remove_prefix(digits + 1);
  }
  while (!completion.empty()) {
    const std::size_t step = step_at(completion);
    if (step > 0) ++count;
    completion.remove_prefix(std::max<std::size_t>(step, 1));
  }
  return count;
}

std::unique_ptr<Reward> make_reasoning_steps_reward() {
  return make_item_reward("reasoning_steps", [](const RewardItem& item) {
    return std::min(1.0, static_cast<double>(count_reasoning_steps(item.completion)) / 3.0);
  });
}

std::unique_ptr<Reward> make_language_reward(const LanguageConfig& config) {
  return make_item_reward("language",
                          [wanted = wanted_scripts(config.scripts)](const RewardItem& item) {
                            return share_of_scripts(item.completion, wanted);
                          });
}

}  // namespace zeroth
