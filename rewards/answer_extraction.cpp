#include "rewards/answer_extraction.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "rewards/math/parser.h"
#include "rewards/math/tokens.h"
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
                                  AnswerRule::phrase, AnswerRule::whole,  AnswerRule::formula,
                                  AnswerRule::choice, AnswerRule::number, AnswerRule::after};

constexpr std::size_t kMaxBoxes = 64;  // of a list
constexpr std::ptrdiff_t kMaxUnitWords = 3;
constexpr std::size_t kMaxPhrases = 16;        // looked at, from the last
constexpr std::size_t kMaxSentence = 4096;     // bytes after a phrase that are looked at
constexpr std::size_t kMaxWholeBytes = 16384;  // of a text that is read as one answer

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

// Up to the end of the line, or a full stop that ends a sentence. What follows white space alone
// begins with the next line.
std::string_view sentence(std::string_view text) {
  text = text.substr(std::min(text.find_first_not_of(kSpace), text.size())).substr(0, kMaxSentence);
  const bool is_display = text.starts_with("\\[") || text.starts_with("$$");
  if (!is_display) text = text.substr(0, text.find('\n'));
  for (std::size_t stop = text.find('.'); stop != npos; stop = text.find('.', stop + 1)) {
    if (stop + 1 == text.size() || text[stop + 1] == ' ') return text.substr(0, stop);
  }
  return text;
}

// What "answer is" or "answer:" leaves behind, or nothing where `text` begins with neither.
std::optional<std::string_view> after_answer(std::string_view text) {
  if (!accept(text, "answer")) return std::nullopt;
  accept(text, "s");
  skip_marks(text);
  const bool is = accept(text, "is");
  const bool are = !is && accept(text, "are");
  skip_marks(text);
  if (accept(text, ":") || is) return text;
  const bool are_values =
      are && !text.empty() && !is_letter(text.front());  // not "answers are hard"
  if (!are_values) return std::nullopt;
  return text;
}

// The last phrase that something follows.
std::optional<std::string_view> after_phrase(std::string_view text) {
  for (std::size_t i = text.size(), seen = 0; i-- > 0 && seen < kMaxPhrases;) {
    if ((text[i] | 0x20) != 'a' || i + 1 >= text.size() || (text[i + 1] | 0x20) != 'n') continue;
    std::optional<std::string_view> rest = after_answer(text.substr(i));
    if (!rest) continue;
    ++seen;
    skip_marks(*rest);
    std::string_view answer = sentence(*rest);
    while (answer.ends_with('*')) answer.remove_suffix(1);
    if (!trimmed(answer).empty()) return answer;
    text = text.substr(0, i);
  }
  return std::nullopt;
}

// Whether text[i] is a capital between what is no letter and no digit.
bool stands_alone(std::string_view text, std::size_t i) {
  const auto joins = [&](std::size_t j) {
    return j < text.size() && (is_letter(text[j]) || is_digit(text[j]) || text[j] == '\\');
  };
  return text[i] >= 'A' && text[i] <= 'Z' && !(i > 0 && joins(i - 1)) && !joins(i + 1);
}

// One of `choices` between what is no letter and no digit, at text[i]; else nothing.
std::string_view choice_at(std::string_view text, std::size_t i,
                           const std::vector<std::string>& choices) {
  const auto joins = [&](std::size_t j) {
    return j < text.size() && (is_letter(text[j]) || is_digit(text[j]) || text[j] == '\\');
  };
  if (i > 0 && joins(i - 1)) return {};
  for (const std::string& choice : choices) {
    if (!choice.empty() && text.substr(i).starts_with(choice) && !joins(i + choice.size())) {
      return text.substr(i, choice.size());
    }
  }
  return {};
}

// In the phrase, else at the very beginning, else the last.
std::optional<std::string_view> chosen(std::string_view text,
                                       const std::vector<std::string>& choices) {
  if (const auto phrase = after_phrase(text)) {
    for (std::size_t i = 0; i < phrase->size(); ++i) {
      const std::string_view choice = choice_at(*phrase, i, choices);
      if (!choice.empty()) return choice;
    }
  }
  const std::string_view begin = trimmed(text);
  const std::string_view first = choice_at(begin, 0, choices);
  if (!first.empty() && begin.size() > first.size() &&
      std::string_view(".):,").find(begin[first.size()]) != npos) {
    return first;
  }
  for (std::size_t i = text.size(); i-- > 0;) {
    const std::string_view choice = choice_at(text, i, choices);
    const bool article =
        choice == "A" && i + 2 < text.size() && text[i + 1] == ' ' && is_letter(text[i + 2]);
    if (!choice.empty() && !article) return choice;
  }
  return std::nullopt;
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

// Words of two letters that would otherwise read as products of names.
bool is_short_word(std::string_view word) {
  static constexpr std::string_view kWords[] = {
      "so", "we", "if", "is", "at", "to", "of", "by", "as", "an", "it", "be", "on", "do",
      "no", "he", "me", "my", "up", "us", "go", "or", "So", "We", "If", "Is", "It"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

// Whether words stand in `text` elsewhere than after a value, as its unit.
bool is_prose(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_letter(text[i])) continue;
    const std::size_t begin = i;
    while (i < text.size() && is_letter(text[i])) ++i;
    const bool is_command = begin > 0 && text[begin - 1] == '\\';
    const std::string_view word = text.substr(begin, i - begin);
    if (!is_command && word != "or" && is_short_word(word)) return true;
  }
  const std::vector<math::Token> tokens = math::tokenize(text);
  const auto is_words = [](const math::Token& t) { return t.kind == math::TokenKind::words; };
  const auto words = std::find_if(tokens.begin(), tokens.end(), is_words);
  if (words == tokens.end()) return false;
  if (words == tokens.begin()) return tokens.size() > 2;  // with the last, which is no word
  const auto first_after = std::find_if_not(words, tokens.end(), is_words);
  const bool ends = first_after->kind == math::TokenKind::finish || first_after->is_mark("^");
  return !ends || first_after - words > kMaxUnitWords;
}

// Whether `text` as a whole is one answer: mathematics, a value with its unit, one word.
bool is_answer(std::string_view text, const FormulaKinds& kinds) {
  if (text.size() > kMaxWholeBytes || text.find('\n') != npos) return false;
  const bool has_marks = text.find_first_of("\\$") != npos;
  if (has_marks ? !kinds.marked : !kinds.plain) return false;
  return !is_prose(text) && math::parse_expression(text).has_value();
}

// A phrase's sentence states an answer beside other words, or is one.
std::optional<std::string> stated(std::string_view text, const ExtractionConfig& config) {
  const std::optional<std::string_view> phrase = after_phrase(text);
  if (!phrase) return std::nullopt;
  const bool narrows =
      std::count(config.order.begin(), config.order.end(), AnswerRule::formula) != 0;
  if (!narrows || is_answer(trimmed(*phrase), config.formulas)) return std::string(*phrase);
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
      return is_answer(trimmed(text), config.formulas) ? owned(text) : std::nullopt;
    case AnswerRule::formula:
      return last_formula(text, config.formulas);
    case AnswerRule::choice:
      return owned(config.choices.empty() ? chosen_letter(text) : chosen(text, config.choices));
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
