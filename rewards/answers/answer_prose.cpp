#include "rewards/answers/answer_prose.h"

#include <algorithm>

#include "rewards/answers/answer_extraction.h"
#include "rewards/math/parser.h"
#include "rewards/math/tokens.h"
#include "system/ascii.h"

namespace zeroth {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::string_view kSpace = " \t\r\n\v\f";
constexpr std::ptrdiff_t kMaxUnitWords = 3;
constexpr std::size_t kMaxPhrases = 16;        // looked at, from the last
constexpr std::size_t kMaxSentence = 4096;     // bytes after a phrase that are looked at
constexpr std::size_t kMaxWholeBytes = 16384;  // of a text that is read as one answer

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

}  // namespace

std::optional<std::string_view> answer_phrase(std::string_view text) {
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

std::optional<std::string_view> chosen_word(std::string_view text,
                                            const std::vector<std::string>& choices) {
  if (const auto phrase = answer_phrase(text)) {
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
  if (const auto phrase = answer_phrase(text)) {
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

bool is_whole_answer(std::string_view text, const FormulaKinds& kinds) {
  if (text.size() > kMaxWholeBytes || text.find('\n') != npos) return false;
  const bool has_marks = text.find_first_of("\\$") != npos;
  if (has_marks ? !kinds.marked : !kinds.plain) return false;
  return !is_prose(text) && math::parse_expression(text).has_value();
}

}  // namespace zeroth
