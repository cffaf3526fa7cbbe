#include "rewards/answer_extraction.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "system/error.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view kSpace = " \t\r\n\v\f";
constexpr std::string_view kOpenTag = "<answer>";
constexpr std::string_view kCloseTag = "</answer>";
constexpr std::string_view kHashes = "####";

constexpr std::array kAllRules = {AnswerRule::tag, AnswerRule::boxed, AnswerRule::hashes,
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
       .expected = "tag, boxed, hashes or after=PREFIX; nearest is " + nearest_name(name, names),
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
