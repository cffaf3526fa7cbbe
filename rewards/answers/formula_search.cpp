#include "rewards/answers/formula_search.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "system/ascii.h"

namespace zeroth {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::size_t kMaxBracketBytes = 80;  // of a point or an interval in prose
constexpr std::size_t kMaxJoinBytes = 64;     // between two formulas of a list
constexpr std::string_view kBegin = "\\begin", kEnd = "\\end";
constexpr std::size_t kMaxSearchBytes = 1 << 16;  // in which the last formula is looked for
constexpr std::size_t kMaxListItems = 64;

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool accept(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

bool accept_any_case(std::string_view& text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (to_lower(text[i]) != word[i]) return false;
  }
  text.remove_prefix(word.size());
  return true;
}

void skip_spaces(std::string_view& text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
}

std::string_view without_spaces(std::string_view text) {
  skip_spaces(text);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The lines of an environment as one formula: "a &= b \\ &= c" is a = b = c, and lines with left
// sides of their own are a list.
std::string joined_lines(std::string_view lines) {
  std::string result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i] == '&') {
      result += ' ';
    } else if (lines.substr(i, 2) == "\\\\") {
      std::string_view rest = lines.substr(i + 2);
      while (!rest.empty() && (is_space(rest.front()) || rest.front() == '&'))
        rest.remove_prefix(1);
      const bool goes_on = rest.empty() || rest.front() == '=' || rest.starts_with("\\approx") ||
                           rest.starts_with("\\le") || rest.starts_with("\\ge");
      result += goes_on ? " " : ", ";
      ++i;
    } else {
      result += lines[i];
    }
  }
  return result;
}

constexpr std::array<std::string_view, 6> kEnvironments = {"align",  "aligned",  "equation",
                                                           "gather", "eqnarray", "multline"};

// "{align*}" at the front of `text`: how many bytes; 0 for other environments.
std::size_t environment_bytes(std::string_view text) {
  const std::size_t size = text.size();
  if (!accept(text, "{")) return 0;
  std::size_t letters = 0;
  while (letters < text.size() && is_letter(text[letters])) ++letters;
  const std::string_view name = text.substr(0, letters);
  if (std::find(kEnvironments.begin(), kEnvironments.end(), name) == kEnvironments.end()) return 0;
  text.remove_prefix(letters);
  accept(text, "*");
  return accept(text, "}") ? size - text.size() : 0;
}

// `text` without an environment of lines around it.
std::string without_environment(std::string_view text) {
  std::string_view inner = without_spaces(text);
  if (!accept(inner, kBegin)) return std::string(without_spaces(text));
  const std::size_t name = environment_bytes(inner);
  const std::size_t end = inner.rfind("\\end{");
  if (name == 0 || end == npos || end < name) return std::string(without_spaces(text));
  return joined_lines(inner.substr(name, end - name));
}

std::size_t digits_at(std::string_view text) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  return count;
}

// A number at the front of `text`: "1,234.56", "1 234", "2,74", ".5"; how many bytes, else 0.
std::size_t number_bytes(std::string_view text) {
  std::size_t at = digits_at(text);
  if (at >= 1 && at <= 3) {  // thousands
    for (const char separator : {',', ' '}) {
      std::size_t end = at;
      while (end < text.size() && text[end] == separator && digits_at(text.substr(end + 1)) == 3) {
        end += 4;
      }
      if (end > at) {
        at = end;
        break;
      }
    }
  }
  if (at > 0 && text.substr(at).starts_with(',') && digits_at(text.substr(at + 1)) > 0) {
    return at + 1 + digits_at(text.substr(at + 1));
  }
  if (text.substr(at).starts_with('.') && digits_at(text.substr(at + 1)) > 0) {
    at += 1 + digits_at(text.substr(at + 1));
  }
  return at;
}

// An operator at the front of `text`: how many bytes, else 0.
std::size_t operator_bytes(std::string_view text) {
  for (const std::string_view sign :
       {"**", "+", "-", "*", "/", "^", "\u00d7", "\u00f7", "\u2212"}) {
    if (text.starts_with(sign)) return sign.size();
  }
  return 0;
}

// Sums and products of plain numbers at the front of `text`, as far as they make sense.
std::size_t arithmetic_bytes(std::string_view text) {
  std::size_t at = 0, end = 0;  // end: after the last place where the expression may stop
  std::size_t open = 0;
  bool wants_operand = true;
  while (at < text.size()) {
    std::string_view rest = text.substr(at);
    if (rest.front() == ' ') {
      ++at;
      continue;
    }
    if (wants_operand) {
      if (rest.front() == '-' && at + 1 < text.size() &&
          (is_digit(text[at + 1]) || text[at + 1] == '(' || text[at + 1] == '.')) {
        ++at;
      } else if (rest.front() == '(') {
        ++open;
        ++at;
      } else if (const std::size_t number = number_bytes(rest)) {
        at += number;
        wants_operand = false;
        if (open == 0) end = at;
      } else {
        break;
      }
      continue;
    }
    if (rest.front() == ')' && open > 0) {
      ++at;
      if (--open == 0) end = at;
    } else if (const std::size_t sign = operator_bytes(rest)) {
      at += sign;
      wants_operand = true;
    } else {
      break;
    }
  }
  return end;
}

// "(1, 2)", "[0, 1)" at the front of `text`: how many bytes, else 0.
std::size_t bracket_bytes(std::string_view text) {
  if (text.empty() || (text.front() != '(' && text.front() != '[')) return 0;
  int open = 0;
  bool has_comma = false;
  for (std::size_t i = 0; i < std::min(text.size(), kMaxBracketBytes); ++i) {
    const char c = text[i];
    if (c == '(' || c == '[') ++open;
    if (c == ',' || c == ';') has_comma = true;
    if (c == ')' || c == ']') {
      if (--open == 0) return has_comma ? i + 1 : 0;
    }
    const bool fits = is_digit(c) || std::string_view("()[] ,;.+-*/^").find(c) != npos;
    const bool is_infinity =
        text.substr(i).starts_with("\u221e") || (i > 0 && static_cast<unsigned char>(c) >= 0x80);
    if (!fits && !is_infinity) return 0;
  }
  return 0;
}

bool begins_word(std::string_view text, std::size_t at) {
  if (at == 0) return true;
  const char before = text[at - 1];
  const auto byte = static_cast<unsigned char>(before);
  return is_space(before) || byte >= 0x80 || std::string_view("=$*(:\"'~>").find(before) != npos;
}

// Where a formula may begin.
bool may_begin(char c) {
  return is_digit(c) || c == '$' || c == '\\' || c == '.' || c == '-' || c == '(' || c == '[';
}

// Whether `gap` makes a list of the formulas before and after it.
bool is_joint(std::string_view gap) {
  if (gap.size() > kMaxJoinBytes) return false;
  static constexpr std::string_view kJoints[] = {",",     ";",    "and",  "or",
                                                 ", and", ", or", ",and", ",or"};
  return std::find(std::begin(kJoints), std::end(kJoints), without_spaces(gap)) !=
         std::end(kJoints);
}

}  // namespace

std::size_t percent_bytes(std::string_view text) {
  const std::size_t size = text.size();
  for (int spaces = 0; spaces < 2 && text.starts_with(' '); ++spaces) text.remove_prefix(1);
  if (accept(text, "%") || accept(text, "\\%")) return size - text.size();
  for (const std::string_view word : {"percentage", "percent", "pct"}) {
    std::string_view rest = text;
    if (accept_any_case(rest, word) && (rest.empty() || !is_letter(rest.front()))) {
      return size - rest.size();
    }
  }
  return 0;
}

bool joins_answers(std::string_view text) {
  if (text.size() > kMaxJoinBytes) return false;
  bool has_word = false;
  std::string_view last;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\\') {  // \text{ and }, \quad, \), "\ "
      std::size_t end = i + 1;
      while (end < text.size() && is_letter(text[end])) ++end;
      i = std::max(end, std::min(i + 2, text.size()));
    } else if (is_letter(text[i])) {
      std::size_t end = i;
      while (end < text.size() && is_letter(text[end])) ++end;
      last = text.substr(i, end - i);
      has_word = true;
      i = end;
    } else if (std::string_view(" \t\r\n,;{}$()[]&").find(text[i]) != npos) {
      ++i;
    } else {
      return false;  // a full stop ends the sentence; digits and operators are no prose
    }
  }
  return !has_word || last == "and" || last == "or";
}

FormulaSearch::FormulaSearch(std::string_view text, FormulaKinds kinds)
    : text_(text), kinds_(kinds) {}

std::optional<FormulaSpan> FormulaSearch::between(std::string_view open, std::string_view close,
                                                  bool& absent) {
  if (absent || !text_.substr(at_).starts_with(open)) return std::nullopt;
  const std::size_t begin = at_ + open.size();
  const std::size_t end = text_.find(close, begin);
  absent = end == npos;
  if (absent) return std::nullopt;
  return FormulaSpan{.begin = at_,
                     .end = end + close.size(),
                     .inner_begin = begin,
                     .inner_end = end,
                     .is_marked = true};
}

std::optional<FormulaSpan> FormulaSearch::environment() {
  std::string_view rest = text_.substr(at_);
  if (no_environment_ || !accept(rest, kBegin)) return std::nullopt;
  const std::size_t name = environment_bytes(rest);
  if (name == 0) return std::nullopt;
  const std::size_t close =
      text_.find(std::string(kEnd) + std::string(rest.substr(0, name)), at_ + kBegin.size() + name);
  no_environment_ = close == npos;
  if (no_environment_) return std::nullopt;
  const std::size_t end = close + kEnd.size() + name;
  return FormulaSpan{
      .begin = at_, .end = end, .inner_begin = at_, .inner_end = end, .is_marked = true};
}

// "-\frac{1}{2}" without marks around it.
std::optional<FormulaSpan> FormulaSearch::bare_fraction() {
  std::string_view rest = text_.substr(at_);
  accept(rest, "-");
  if (!accept(rest, "\\frac{") && !accept(rest, "\\dfrac{") && !accept(rest, "\\tfrac{")) {
    return std::nullopt;
  }
  for (int part = 0; part < 2; ++part) {
    if (part == 1 && !accept(rest, "{")) return std::nullopt;
    const std::size_t sign = rest.starts_with('-') ? 1 : 0;
    const std::size_t number = number_bytes(rest.substr(sign));
    if (number == 0) return std::nullopt;
    rest.remove_prefix(sign + number);
    if (!accept(rest, "}")) return std::nullopt;
  }
  const std::size_t end = text_.size() - rest.size();
  return FormulaSpan{
      .begin = at_, .end = end, .inner_begin = at_, .inner_end = end, .is_marked = true};
}

// "$…$", which ends in its paragraph.
std::optional<FormulaSpan> FormulaSearch::dollars() {
  if (auto found = between("$$", "$$", no_display_)) return found;
  if (at_ < no_dollar_before_) return std::nullopt;
  if (paragraph_end_ <= at_) paragraph_end_ = std::min(text_.find("\n\n", at_), text_.size());
  std::size_t end = text_.find('$', at_ + 1);
  while (end < paragraph_end_ && text_[end - 1] == '\\') end = text_.find('$', end + 1);
  if (end >= paragraph_end_) {
    no_dollar_before_ = paragraph_end_;
    return std::nullopt;
  }
  // "$3.50 and $4.50" are sums of money.
  const bool is_money = is_space(text_[end - 1]) && end + 1 < text_.size() &&
                        is_digit(text_[end + 1]) && is_digit(text_[at_ + 1]);
  if (is_money) return std::nullopt;
  return FormulaSpan{
      .begin = at_, .end = end + 1, .inner_begin = at_ + 1, .inner_end = end, .is_marked = true};
}

std::optional<FormulaSpan> FormulaSearch::marked() {
  switch (text_[at_]) {
    case '$':
      return dollars();
    case '-':
      return bare_fraction();
    case '\\':
      break;
    default:
      return std::nullopt;
  }
  if (auto found = between("\\[", "\\]", no_bracket_)) return found;
  if (auto found = between("\\(", "\\)", no_parenthesis_)) return found;
  if (auto found = environment()) return found;
  return bare_fraction();
}

std::optional<FormulaSpan> FormulaSearch::plain() {
  if (!begins_word(text_, at_)) return std::nullopt;
  const std::string_view rest = text_.substr(at_);
  std::size_t size = bracket_bytes(rest);
  if (size == 0) size = arithmetic_bytes(rest);
  if (size == 0) return std::nullopt;
  return FormulaSpan{.begin = at_, .end = at_ + size, .inner_begin = at_, .inner_end = at_ + size};
}

std::optional<FormulaSpan> FormulaSearch::single() {
  for (;; ++at_) {
    while (at_ < text_.size() && !may_begin(text_[at_])) ++at_;
    if (at_ >= text_.size()) return std::nullopt;
    std::optional<FormulaSpan> found;
    if (kinds_.marked) found = marked();
    const char c = text_[at_];
    if (!found && kinds_.plain && c != '\\' && c != '$') found = plain();
    if (found) {
      const std::size_t percent = percent_bytes(text_.substr(found->end));
      found->is_percent = percent > 0;
      found->end += percent;
      at_ = found->end;
      return found;
    }
    // "\\" and "\$" are one character each.
    const bool is_escape =
        c == '\\' && at_ + 1 < text_.size() && (text_[at_ + 1] == '\\' || text_[at_ + 1] == '$');
    if (is_escape) ++at_;
  }
}

bool FormulaSearch::next() {
  std::optional<FormulaSpan> span = pending_ ? std::exchange(pending_, std::nullopt) : single();
  if (!span) return false;
  spans_.assign(1, *span);
  while (spans_.back().is_marked && spans_.size() < kMaxListItems) {
    pending_ = single();
    if (!pending_ || !pending_->is_marked) break;
    const std::size_t end = spans_.back().end;
    if (!is_joint(text_.substr(end, pending_->begin - end))) break;
    spans_.push_back(*pending_);
    pending_.reset();
  }
  return true;
}

std::string formula_text(std::string_view text, const std::vector<FormulaSpan>& spans) {
  std::string result;
  for (const FormulaSpan& span : spans) {
    if (!result.empty()) result += ", ";
    result += without_environment(text.substr(span.inner_begin, span.inner_end - span.inner_begin));
    if (span.is_percent) result += "\\%";
  }
  return result;
}

std::optional<std::string> last_formula(std::string_view text, FormulaKinds kinds) {
  if (text.size() > kMaxSearchBytes) {  // from the beginning of a line
    text = text.substr(text.size() - kMaxSearchBytes);
    const std::size_t line = text.find('\n');
    text = text.substr(line == npos ? text.size() : line + 1);
  }
  FormulaSearch search(text, kinds);
  std::vector<FormulaSpan> last;
  while (search.next()) last = search.spans();
  if (last.empty()) return std::nullopt;
  return formula_text(text, last);
}

std::optional<std::string> stated_formula(std::string_view sentence, FormulaKinds kinds) {
  FormulaSearch search(sentence, kinds);
  std::vector<FormulaSpan> first;
  while (search.next()) {
    std::string_view before = sentence.substr(0, search.spans().front().begin);
    const std::size_t end = before.find_last_not_of(" \t\r\n*\"'");
    before = before.substr(0, end == npos ? 0 : end + 1);
    const bool is_stated = before.empty() || before.ends_with(" is") || before.ends_with(" are") ||
                           before.ends_with('=') || before.ends_with(':');
    if (is_stated) return formula_text(sentence, search.spans());
    if (first.empty()) first = search.spans();
  }
  if (first.empty()) return std::nullopt;
  return formula_text(sentence, first);
}

}  // namespace zeroth
