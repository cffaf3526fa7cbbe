#include "rewards/answer_extraction.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "system/ascii.h"
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
                                  AnswerRule::phrase, AnswerRule::choice, AnswerRule::number,
                                  AnswerRule::after};

std::optional<std::string_view> last_tagged(std::string_view text) {
  const std::size_t close = text.rfind(kCloseTag);
  if (close == npos) return std::nullopt;
  text = text.substr(0, close);
  const std::size_t open = text.rfind(kOpenTag);
  if (open == npos) return std::nullopt;
  return text.substr(open + kOpenTag.size());
}

std::optional<std::string_view> line_after_last(std::string_view text, std::string_view mark) {
  const std::size_t found = mark.empty() ? npos : text.rfind(mark);
  if (found == npos) return std::nullopt;
  text.remove_prefix(found + mark.size());
  return text.substr(0, text.find('\n'));
}

// Takes `word`, given in lower case, from the front of `text`, whatever its case there.
bool accept(std::string_view& text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (to_lower(text[i]) != word[i]) return false;
  }
  text.remove_prefix(word.size());
  return true;
}

void skip_marks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '*')) text.remove_prefix(1);
}

// Up to the end of the line, or a full stop that ends a sentence.
std::string_view sentence(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  for (std::size_t stop = text.find('.'); stop != npos; stop = text.find('.', stop + 1)) {
    if (stop + 1 == text.size() || text[stop + 1] == ' ') return text.substr(0, stop);
  }
  return text;
}

std::optional<std::string_view> after_phrase(std::string_view text) {
  std::optional<std::string_view> last;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != 'a' && text[i] != 'A') continue;
    std::string_view rest = text.substr(i);
    if (!accept(rest, "answer")) continue;
    skip_marks(rest);
    const bool is = accept(rest, "is");
    skip_marks(rest);
    if (!accept(rest, ":") && !is) continue;
    last = rest;
  }
  if (!last) return std::nullopt;
  skip_marks(*last);
  std::string_view answer = sentence(*last);
  while (answer.ends_with('*')) answer.remove_suffix(1);
  return answer;
}

// Whether text[i] is a capital between what is no letter and no digit.
bool stands_alone(std::string_view text, std::size_t i) {
  const auto joins = [&](std::size_t j) {
    return j < text.size() && (is_letter(text[j]) || is_digit(text[j]) || text[j] == '\\');
  };
  return text[i] >= 'A' && text[i] <= 'Z' && !(i > 0 && joins(i - 1)) && !joins(i + 1);
}

std::optional<std::string_view> chosen_letter(std::string_view text) {
  if (const auto phrase = after_phrase(text)) {
    for (std::size_t i = 0; i < phrase->size(); ++i) {
      if (stands_alone(*phrase, i)) return phrase->substr(i, 1);
    }
  }
  const std::string_view begin = trimmed(text);
  if (begin.size() >= 2 && stands_alone(begin, 0) &&
      std::string_view(".):").find(begin[1]) != npos) {
    return begin.substr(0, 1);
  }
  for (std::size_t i = text.size(); i-- > 0;) {
    if (!stands_alone(text, i) || text[i] == 'I') continue;
    const bool article =
        text[i] == 'A' && i + 2 < text.size() && text[i + 1] == ' ' && is_letter(text[i + 2]);
    if (!article) return text.substr(i, 1);
  }
  return std::nullopt;
}

std::optional<std::string_view> last_number(std::string_view text) {
  const std::size_t last = text.find_last_of("0123456789");
  if (last == npos) return std::nullopt;
  std::size_t begin = last;
  while (begin > 0) {
    const char before = text[begin - 1];
    const bool joint = (before == ',' || before == '.' || before == '/') && begin > 1 &&
                       is_digit(text[begin - 2]) && is_digit(text[begin]);
    if (!is_digit(before) && !joint) break;
    --begin;
  }
  if (begin > 0 && text[begin - 1] == '.') --begin;  // .5
  const bool is_sign = begin > 0 && text[begin - 1] == '-' &&
                       (begin == 1 || !(is_digit(text[begin - 2]) || is_letter(text[begin - 2]) ||
                                        text[begin - 2] == ')'));
  if (is_sign) --begin;
  std::size_t end = last + 1;
  if (text.substr(end).starts_with("%")) ++end;
  if (text.substr(end).starts_with("\\%")) end += 2;
  return text.substr(begin, end - begin);
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

std::optional<std::string_view> apply_rule(AnswerRule rule, std::string_view text,
                                           const ExtractionConfig& config) {
  switch (rule) {
    case AnswerRule::tag:
      return last_tagged(text);
    case AnswerRule::boxed:
      return last_boxed(text);
    case AnswerRule::hashes:
      return line_after_last(text, kHashes);
    case AnswerRule::phrase:
      return after_phrase(text);
    case AnswerRule::choice:
      return chosen_letter(text);
    case AnswerRule::number:
      return last_number(text);
    case AnswerRule::after:
      return line_after_last(text, config.prefix);
  }
  return std::nullopt;
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
       .expected = "tag, boxed, hashes, phrase, choice, number or after=PREFIX; nearest is " +
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
  ExtractionConfig config{.order = {}, .prefix = ""};
  const auto fail = [&](const char* expected) {
    throw InputError(
        {.source = "answer rules", .field = "", .expected = expected, .actual = std::string(text)});
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const bool is_after = text.substr(begin).starts_with(kAfter);
    const std::size_t end = is_after ? text.size() : std::min(text.find(',', begin), text.size());
    const std::string_view item = trimmed(text.substr(begin, end - begin));
    const AnswerRule rule = is_after ? AnswerRule::after : parse_rule(item);
    if (is_after) config.prefix = trimmed(item.substr(kAfter.size()));
    if (rule == AnswerRule::after && config.prefix.empty()) fail("a prefix, as in after=A:");
    if (std::count(config.order.begin(), config.order.end(), rule) != 0) fail("each rule once");
    config.order.push_back(rule);
    begin = end + 1;
  }
  return config;
}

// One pass with a stack of the braces that are open, so that boxes inside boxes and braces inside
// boxes both close where they should, at any depth and in linear time.
std::optional<std::string_view> last_boxed(std::string_view text) {
  struct OpenBrace {
    std::size_t content;  // first byte after the brace
    bool is_box;
  };
  std::vector<OpenBrace> open;
  std::optional<OpenBrace> best;
  std::size_t best_end = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\\') {
      const std::size_t content = box_content(text, i);
      if (content != npos) open.push_back({.content = content, .is_box = true});
      i = content != npos ? content : i + escape_bytes(text.substr(i));
      continue;
    }
    if (text[i] == '{') open.push_back({.content = i + 1, .is_box = false});
    if (text[i] == '}' && !open.empty()) {
      const OpenBrace brace = open.back();
      open.pop_back();
      if (brace.is_box && (!best || brace.content > best->content)) {
        best = brace;
        best_end = i;
      }
    }
    ++i;
  }
  if (!best) return std::nullopt;
  return text.substr(best->content, best_end - best->content);
}

std::optional<Extraction> extract_answer(std::string_view completion,
                                         const ExtractionConfig& config) {
  const bool boxes = std::count(config.order.begin(), config.order.end(), AnswerRule::boxed) != 0;
  for (const AnswerRule rule : config.order) {
    std::string_view text = trimmed(apply_rule(rule, completion, config).value_or(""));
    if (boxes && rule != AnswerRule::boxed) {
      if (const auto box = last_boxed(text)) text = trimmed(*box);
    }
    if (!text.empty()) return Extraction{.text = text, .rule = rule};
  }
  return std::nullopt;
}

}  // namespace zeroth
