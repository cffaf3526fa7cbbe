#include "rewards/answers/answer_extraction.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "rewards/answers/answer_prose.h"
#include "system/error.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view kSpace = " \t\r\n\v\f";
constexpr std::string_view kOpenTag = "<answer>";
constexpr std::string_view kCloseTag = "</answer>";
constexpr std::string_view kHashes = "####";

constexpr std::array kAllRules = {AnswerRule::tag,    AnswerRule::boxed,  AnswerRule::hashes,
                                  AnswerRule::phrase, AnswerRule::whole,  AnswerRule::formula,
                                  AnswerRule::choice, AnswerRule::number, AnswerRule::after};

constexpr std::size_t kMaxBoxes = 64;  // of a list

// The last place of `word`, of four bytes or more, or npos. Compares four bytes at a time, which is
// several times as fast as rfind.
std::size_t last_of(std::string_view text, std::string_view word) {
  if (word.size() < sizeof(std::uint32_t)) return text.rfind(word);
  if (text.size() < word.size()) return npos;
  std::uint32_t begin = 0;
  std::memcpy(&begin, word.data(), sizeof begin);
  for (std::size_t i = text.size() - word.size() + 1; i-- > 0;) {
    std::uint32_t here = 0;
    std::memcpy(&here, text.data() + i, sizeof here);
    if (here == begin && text.substr(i, word.size()) == word) return i;
  }
  return npos;
}

std::optional<std::string_view> last_tagged(std::string_view text) {
  const std::size_t close = last_of(text, kCloseTag);
  if (close == npos) return std::nullopt;
  text = text.substr(0, close);
  const std::size_t open = last_of(text, kOpenTag);
  if (open == npos) return std::nullopt;
  return text.substr(open + kOpenTag.size());
}

std::optional<std::string_view> line_after_last(std::string_view text, std::string_view mark) {
  const std::size_t found = mark.empty() ? npos : last_of(text, mark);
  if (found == npos) return std::nullopt;
  text.remove_prefix(found + mark.size());
  return text.substr(0, text.find('\n'));
}

// Where the content of a box starting at text[position] begins, or npos when no box starts there.
std::size_t box_content(std::string_view text, std::size_t position) {
  const std::string_view rest = text.substr(position);
  std::size_t brace = npos;
  if (rest.starts_with("\\boxed")) brace = rest.find_first_not_of(kSpace, 6);
  if (rest.starts_with("\\fbox")) brace = rest.find_first_not_of(kSpace, 5);
  return brace == npos || rest[brace] != '{' ? npos : position + brace + 1;
}

// How many bytes an escaped brace takes ("\{"; "\\{" is a line break before a brace), else 1.
std::size_t escape_bytes(std::string_view rest) {
  if (rest.starts_with("\\{") || rest.starts_with("\\}")) return 2;
  if (rest.starts_with("\\\\{") || rest.starts_with("\\\\}")) return 2;
  return 1;
}

struct Box {
  std::size_t begin = 0, end = 0;  // of the content
};

// The last box that closes, and those before it that it makes a list with; none where no box
// closes. One pass with a stack of the braces that are open, so that boxes inside boxes and braces
// inside boxes both close where they should, at any depth and in linear time.
std::vector<Box> last_boxes(std::string_view text) {
  struct OpenBox {
    std::size_t content;  // first byte after the brace
    std::size_t command;  // where \boxed stands
    std::size_t braces;   // that are open within it
  };
  std::vector<OpenBox> open;
  std::vector<Box> list;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\\') {
      const std::size_t content = box_content(text, i);
      if (content != npos) open.push_back({.content = content, .command = i, .braces = 0});
      i = content != npos ? content : i + escape_bytes(text.substr(i));
      continue;
    }
    ++i;
    if ((c != '{' && c != '}') || open.empty()) continue;
    OpenBox& box = open.back();
    if (c == '{') {
      ++box.braces;
    } else if (box.braces > 0) {
      --box.braces;
    } else {
      if (list.empty() || box.content > list.back().begin) {
        const bool joins =
            !list.empty() && list.size() < kMaxBoxes && box.command > list.back().end &&
            joins_answers(text.substr(list.back().end + 1, box.command - list.back().end - 1));
        if (!joins) list.clear();
        list.push_back({.begin = box.content, .end = i - 1});
      }
      open.pop_back();
    }
  }
  return list;
}

std::string_view content(std::string_view text, const Box& box) {
  return text.substr(box.begin, box.end - box.begin);
}

// A phrase's sentence states an answer beside other words, or is one.
std::optional<std::string> stated(std::string_view text, const ExtractionConfig& config) {
  const std::optional<std::string_view> phrase = answer_phrase(text);
  if (!phrase) return std::nullopt;
  const bool narrows =
      std::count(config.order.begin(), config.order.end(), AnswerRule::formula) != 0;
  if (!narrows || is_whole_answer(trimmed(*phrase), config.formulas)) return std::string(*phrase);
  return stated_formula(*phrase, config.formulas);
}

std::optional<std::string> owned(const std::optional<std::string_view>& text) {
  if (!text) return std::nullopt;
  return std::string(*text);
}

std::optional<std::string> apply_rule(AnswerRule rule, std::string_view text,
                                      const ExtractionConfig& config) {
  switch (rule) {
    case AnswerRule::tag:
      return owned(last_tagged(text));
    case AnswerRule::boxed:
      return boxed_answer(text);
    case AnswerRule::hashes:
      return owned(line_after_last(text, kHashes));
    case AnswerRule::phrase:
      return stated(text, config);
    case AnswerRule::whole:
      return is_whole_answer(trimmed(text), config.formulas) ? owned(text) : std::nullopt;
    case AnswerRule::formula:
      return last_formula(text, config.formulas);
    case AnswerRule::choice:
      return owned(config.choices.empty() ? chosen_letter(text)
                                          : chosen_word(text, config.choices));
    case AnswerRule::number:
      return owned(last_number(text));
    case AnswerRule::after:
      return owned(line_after_last(text, config.prefix));
  }
  return std::nullopt;
}

// How often `mark` stands in `text`, counted to two.
int count_to_two(std::string_view text, std::string_view mark) {
  const std::size_t first = text.find(mark);
  if (first == npos) return 0;
  return text.find(mark, first + mark.size()) == npos ? 1 : 2;
}

// ExtractionConfig::strict of the rules that look for a mark; the others have none to repeat.
bool is_strict(std::string_view text, AnswerRule rule, const ExtractionConfig& config) {
  const auto last_line = [&](std::string_view mark) {
    return count_to_two(text, mark) == 1 &&
           trimmed(text.substr(text.find(mark))).find('\n') == npos;
  };
  switch (rule) {
    case AnswerRule::tag:
      return count_to_two(text, kOpenTag) == 1 && count_to_two(text, kCloseTag) == 1 &&
             trimmed(text).ends_with(kCloseTag);
    case AnswerRule::boxed: {
      if (count_to_two(text, "\\boxed") + count_to_two(text, "\\fbox") != 1) return false;
      const std::vector<Box> boxes = last_boxes(text);
      return !boxes.empty() &&
             text.find_first_not_of(" \t\r\n.$\\])", boxes.back().end + 1) == npos;
    }
    case AnswerRule::hashes:
      return last_line(kHashes);
    case AnswerRule::after:
      return last_line(config.prefix);
    default:
      return true;
  }
}

AnswerRule parse_rule(std::string_view name) {
  std::vector<std::string> names;
  for (const AnswerRule rule : kAllRules) {
    if (answer_rule_name(rule) == name) return rule;
    names.emplace_back(answer_rule_name(rule));
  }
  throw InputError(
      {.source = "answer rules",
       .field = "",
       .expected = "tag, boxed, hashes, phrase, whole, formula, choice, number, strict or "
                   "after=PREFIX; nearest is " +
                   nearest_name(name, names),
       .actual = std::string(name)});
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string_view answer_rule_name(AnswerRule rule) {
  switch (rule) {
    case AnswerRule::tag:
      return "tag";
    case AnswerRule::boxed:
      return "boxed";
    case AnswerRule::hashes:
      return "hashes";
    case AnswerRule::phrase:
      return "phrase";
    case AnswerRule::whole:
      return "whole";
    case AnswerRule::formula:
      return "formula";
    case AnswerRule::choice:
      return "choice";
    case AnswerRule::number:
      return "number";
    case AnswerRule::after:
      return "after";
  }
  return "";
}

ExtractionConfig parse_extraction(std::string_view text) {
  constexpr std::string_view kAfter = "after=";
  ExtractionConfig config{.order = {}};
  const auto fail = [&](const char* expected) {
    throw InputError(
        {.source = "answer rules", .field = "", .expected = expected, .actual = std::string(text)});
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const bool is_after = text.substr(begin).starts_with(kAfter);
    const std::size_t end = is_after ? text.size() : std::min(text.find(',', begin), text.size());
    const std::string_view item = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    if (item == "strict") {
      if (std::exchange(config.strict, true)) fail("strict once");
      continue;
    }
    const AnswerRule rule = is_after ? AnswerRule::after : parse_rule(item);
    if (is_after) config.prefix = trimmed(item.substr(kAfter.size()));
    if (rule == AnswerRule::after && config.prefix.empty()) fail("a prefix, as in after=A:");
    if (std::count(config.order.begin(), config.order.end(), rule) != 0) fail("each rule once");
    config.order.push_back(rule);
  }
  if (config.order.empty()) fail("a rule beside strict");
  return config;
}

std::optional<std::string_view> last_boxed(std::string_view text) {
  const std::vector<Box> boxes = last_boxes(text);
  if (boxes.empty()) return std::nullopt;
  return content(text, boxes.back());
}

std::optional<std::string> boxed_answer(std::string_view text) {
  const std::vector<Box> boxes = last_boxes(text);
  if (boxes.empty()) return std::nullopt;
  std::string result;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const std::string_view item = trimmed(content(text, boxes[i]));
    const bool repeated =
        std::any_of(boxes.begin(), boxes.begin() + static_cast<std::ptrdiff_t>(i),
                    [&](const Box& b) { return trimmed(content(text, b)) == item; });
    if (item.empty() || repeated) continue;
    if (!result.empty()) result += ", ";
    result += item;
  }
  // "$\\boxed{20}$ percent".
  std::string_view after = text.substr(boxes.back().end + 1);
  after.remove_prefix(std::min(after.find_first_not_of("$ "), after.size()));
  if (percent_bytes(after) > 0) result += "\\%";
  return result;
}

std::optional<Extraction> extract_answer(std::string_view completion,
                                         const ExtractionConfig& config) {
  const bool boxes = std::count(config.order.begin(), config.order.end(), AnswerRule::boxed) != 0;
  for (const AnswerRule rule : config.order) {
    if (config.strict && !is_strict(completion, rule, config)) continue;
    const std::optional<std::string> found = apply_rule(rule, completion, config);
    std::string_view text = trimmed(found ? std::string_view(*found) : "");
    std::optional<std::string> box;
    if (boxes && rule != AnswerRule::boxed) box = boxed_answer(text);
    if (box) text = trimmed(*box);
    if (!text.empty()) return Extraction{.text = std::string(text), .rule = rule};
  }
  return std::nullopt;
}

}  // namespace zeroth
