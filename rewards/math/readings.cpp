#include "rewards/math/readings.h"

#include <algorithm>
#include <utility>

#include "rewards/math/parser.h"
#include "rewards/math/tokens.h"
#include "system/ascii.h"

namespace zeroth::math {
namespace {

std::string letters_of(const std::vector<Token>& tokens) {
  std::string result;
  bool after_number = false;
  for (const Token& token : tokens) {
    const bool is_number = token.kind == TokenKind::number;
    if (is_number && after_number) result += ' ';  // "3 4" is not 34
    after_number = is_number;
    for (const char c : token.text) {
      if (c != ' ' && c != '~' && (c != '.' || is_number)) result += c;
    }
    if (token.kind == TokenKind::command) result += '\\';
  }
  return result;
}

// Without case, and where there are no digits, punctuation: signs and points count in "-5 cm".
std::string words_of(const std::string& letters) {
  const bool has_digits = std::any_of(letters.begin(), letters.end(), is_digit);
  std::string result;
  for (const char c : letters) {
    const bool is_punctuation =
        std::string_view("()[],;:'\"!?").find(c) != std::string_view::npos ||
        (c == '-' && !result.empty());
    if (has_digits || !is_punctuation) result += to_lower(c);
  }
  return result;
}

bool is_any(const Token& token, std::initializer_list<std::string_view> marks) {
  return token.kind == TokenKind::mark &&
         std::find(marks.begin(), marks.end(), token.text) != marks.end();
}

// "a,b;c,d" with each group in parentheses; nothing where there are no two kinds of separators
// outside of brackets.
std::optional<std::vector<Token>> grouped(const std::vector<Token>& tokens) {
  std::vector<Token> result = {{.kind = TokenKind::mark, .text = "("}};
  int depth = 0;
  bool has_comma = false, has_semicolon = false;
  for (const Token& token : tokens) {
    if (is_any(token, {"(", "[", "{", "\\{"}) || token.kind == TokenKind::begin) ++depth;
    if (is_any(token, {")", "]", "}", "\\}"}) || token.kind == TokenKind::end) --depth;
    if (depth == 0 && token.is_mark(",")) has_comma = true;
    if (token.kind == TokenKind::finish) {
      result.push_back({.kind = TokenKind::mark, .text = ")"});
      result.push_back(token);
    } else if (depth == 0 && token.is_mark(";")) {
      has_semicolon = true;
      for (const char* mark : {")", ",", "("}) {
        result.push_back({.kind = TokenKind::mark, .text = mark});
      }
    } else {
      result.push_back(token);
    }
  }
  if (!has_comma || !has_semicolon) return std::nullopt;
  return result;
}

std::size_t digits_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end - at;
}

// "1,22" as "1.22", "1.234,5" and "1 234,5" as "1234.5", "1 234" as "1234"; nothing for other
// texts, and where the comma separates thousands.
std::optional<std::string> with_decimal_point(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  std::string result;
  std::size_t at = 0;
  if (text.starts_with('-')) result += text[at++];
  const std::size_t whole = digits_at(text, at);
  if (whole == 0) return std::nullopt;
  const bool leads_with_zero = text[at] == '0';
  result += text.substr(at, whole);
  at += whole;
  bool has_groups = false, has_points = false;
  while (whole <= 3 && at < text.size() && text[at] == '.' && digits_at(text, at + 1) == 3) {
    result += text.substr(at + 1, 3);
    at += 4;
    has_groups = has_points = true;
  }
  while (whole <= 3 && !has_points && at < text.size() && text[at] == ' ' &&
         digits_at(text, at + 1) == 3) {
    result += text.substr(at + 1, 3);
    at += 4;
    has_groups = true;
  }
  if (at == text.size() && has_groups && !has_points) return result;  // "1 234"
  if (at >= text.size() || text[at] != ',') return std::nullopt;
  const std::size_t places = digits_at(text, at + 1);
  const bool thousands = places == 3 && whole <= 3 && !has_groups && !leads_with_zero;
  if (places == 0 || thousands) return std::nullopt;
  const std::string_view rest = text.substr(at + 1 + places);
  if (!rest.empty() && rest != "%" && rest != "\\%") return std::nullopt;
  result += '.';
  result += text.substr(at + 1);
  return result;
}

// "14 {, }916" as "14{,}916"; nothing where nothing is to change.
std::optional<std::string> with_close_commas(std::string_view text) {
  if (text.find("{,") == std::string_view::npos) return std::nullopt;
  const auto spaces_end = [text](std::size_t at) {
    return std::min(text.find_first_not_of(' ', at), text.size());
  };
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t brace = spaces_end(i);
    const bool has_comma = text.substr(brace).starts_with("{,");
    const std::size_t close = has_comma ? spaces_end(brace + 2) : text.size();
    if (close < text.size() && text[close] == '}') {
      result += "{,}";
      i = spaces_end(close + 1);
    } else {
      const std::size_t end = std::min(brace + 1, text.size());
      result += text.substr(i, end - i);
      i = end;
    }
  }
  return result;
}

}  // namespace

Readings read_answer(std::string_view text, bool decimal_comma) {
  const std::optional<std::string> close_commas = with_close_commas(text);
  if (close_commas) text = *close_commas;
  std::vector<Token> tokens = tokenize(text);
  Readings result;
  result.letters = letters_of(tokens);
  result.words = words_of(result.letters);
  result.has_words = std::any_of(tokens.begin(), tokens.end(),
                                 [](const Token& token) { return token.kind == TokenKind::words; });
  std::optional<std::vector<Token>> groups = grouped(tokens);
  const auto add = [&](std::optional<Expression> expression) {
    if (expression) result.expressions.push_back(std::move(*expression));
  };
  add(parse_expression(std::move(tokens)));
  if (groups) add(parse_expression(std::move(*groups)));
  if (decimal_comma) {
    if (const auto decimal = with_decimal_point(text)) add(parse_expression(*decimal));
  }
  return result;
}

}  // namespace zeroth::math
