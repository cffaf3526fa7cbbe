#include "rewards/math/tokens.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <utility>

#include "rewards/math/spellings.h"
#include "system/ascii.h"

namespace zeroth::math {
namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Superscripts and subscripts of Unicode, with the digit or sign that each is.
struct Script {
  std::string_view from;
  char digit;
  char mark;  // ^ or _
};
constexpr auto kScripts = std::to_array<Script>({
    {"\u2070", '0', '^'}, {"\u00b9", '1', '^'}, {"\u00b2", '2', '^'}, {"\u00b3", '3', '^'},
    {"\u2074", '4', '^'}, {"\u2075", '5', '^'}, {"\u2076", '6', '^'}, {"\u2077", '7', '^'},
    {"\u2078", '8', '^'}, {"\u2079", '9', '^'}, {"\u207b", '-', '^'}, {"\u207f", 'n', '^'},
    {"\u2080", '0', '_'}, {"\u2081", '1', '_'}, {"\u2082", '2', '_'}, {"\u2083", '3', '_'},
    {"\u2084", '4', '_'}, {"\u2085", '5', '_'}, {"\u2086", '6', '_'}, {"\u2087", '7', '_'},
    {"\u2088", '8', '_'}, {"\u2089", '9', '_'},
});

struct Vulgar {
  std::string_view from, above, below;
};
constexpr auto kVulgarFractions = std::to_array<Vulgar>({
    {"\u00bd", "1", "2"},
    {"\u2153", "1", "3"},
    {"\u2154", "2", "3"},
    {"\u00bc", "1", "4"},
    {"\u00be", "3", "4"},
    {"\u2155", "1", "5"},
    {"\u2156", "2", "5"},
    {"\u2157", "3", "5"},
    {"\u2158", "4", "5"},
    {"\u2159", "1", "6"},
    {"\u215a", "5", "6"},
    {"\u215b", "1", "8"},
    {"\u215c", "3", "8"},
    {"\u215d", "5", "8"},
    {"\u215e", "7", "8"},
});

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    while (!rest().empty()) step();
    put(TokenKind::finish, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void put(TokenKind kind, std::string_view text) {
    if (kind == TokenKind::mark) {
      if (text == "(" || text == "[" || text == "\\{") ++brackets_;
      if ((text == ")" || text == "]" || text == "\\}") && brackets_ > 0) --brackets_;
    }
    tokens_.push_back({.kind = kind, .text = std::string(text), .after_space = space_});
    space_ = false;
    side_ = Side::unknown;
  }
  void put(const Spelling& spelling) {
    if (spelling.to == "|") return bar();
    if (spelling.to == "int") ++integrals_;
    if (!spelling.to.empty()) return put(spelling.kind, spelling.to);
    space_ = true;
  }
  // "\left|" opens and "\right|" closes; a bar by itself may do either.
  void bar() {
    put(TokenKind::mark, side_ == Side::left ? "lvert" : side_ == Side::right ? "rvert" : "|");
  }

  void step() {
    const char c = peek();
    if (is_space(c)) {
      space_ = true;
      ++at_;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      number();
    } else if (c == '\\') {
      command();
    } else if (is_letter(c)) {
      word();
    } else {
      other();
    }
  }

  // The separator of thousands that stands here before three digits, with its length; else 0.
  std::size_t thousands_separator() const {
    for (const std::string_view separator : {",\\!", "{,}", "\\,", ",\\,", "\\!,", ","}) {
      if (!rest().starts_with(separator)) continue;
      if (separator == "," && brackets_ > 0) return 0;  // (1,234) is a point
      std::size_t length = separator.size();
      if (separator == ",\\!") {
        while (is_space(peek(length))) ++length;
      }
      const bool three = is_digit(peek(length)) && is_digit(peek(length + 1)) &&
                         is_digit(peek(length + 2)) && !is_digit(peek(length + 3));
      return three ? length : 0;
    }
    return 0;
  }

  void number() {
    std::string digits;
    while (is_digit(peek())) digits += text_[at_++];
    if (!digits.empty() && digits.size() <= 3) {
      while (const std::size_t length = thousands_separator()) {
        digits += text_.substr(at_ + length, 3);
        at_ += length + 3;
      }
    }
    if (peek() == '.' && (is_digit(peek(1)) || !digits.empty())) {
      ++at_;
      const bool repeats = rest().starts_with("\\overline") || rest().starts_with("\\bar");
      if (is_digit(peek()) || repeats) digits += '.';
      while (is_digit(peek())) digits += text_[at_++];
    }
    if (is_scientific()) return scientific(digits);
    put(TokenKind::number, digits);
  }

  // "E-5" after a number, as programs print it.
  bool is_scientific() const {
    if (peek() != 'e' && peek() != 'E') return false;
    const bool has_sign = peek(1) == '+' || peek(1) == '-';
    return is_digit(peek(has_sign ? 2 : 1)) && (peek() == 'E' || has_sign);
  }

  // As one factor, {1 * 10^-5}.
  void scientific(std::string_view number) {
    put(TokenKind::mark, "{");
    put(TokenKind::number, number);
    put(TokenKind::mark, "*");
    put(TokenKind::number, "10");
    put(TokenKind::mark, "^");
    at_ += 1;
    if (peek() == '-') put(TokenKind::mark, "-");
    if (!is_digit(peek())) at_ += 1;
    std::string digits;
    while (is_digit(peek())) digits += text_[at_++];
    put(TokenKind::number, digits);
    put(TokenKind::mark, "}");
  }

  // The content of the braces that open here, which are left behind; nothing where none open.
  std::optional<std::string_view> braces() {
    std::size_t begin = at_;
    while (begin < text_.size() && is_space(text_[begin])) ++begin;
    if (begin >= text_.size() || text_[begin] != '{') return std::nullopt;
    if (closing_.empty()) match_braces();
    const std::size_t end = closing_[begin];
    if (end == 0) return std::nullopt;
    at_ = end + 1;
    return text_.substr(begin + 1, end - begin - 1);
  }

  // For every brace that opens where it is closed, in one pass; 0 where it is not.
  void match_braces() {
    closing_.assign(text_.size(), 0);
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (text_[i] == '{') {
        open.push_back(i);
      } else if (text_[i] == '}' && !open.empty()) {
        closing_[open.back()] = i;
        open.pop_back();
      }
    }
  }

  void command() {
    const char next = peek(1);
    if (!is_letter(next)) return escaped(next);
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end;
    if (is_side(name)) return;
    if (is_text_command(name)) return prose(name);
    if (name == "begin" || name == "end") return environment(name == "begin");
    if (name == "variable") {
      const std::optional<std::string_view> variable = braces();
      if (variable && !variable->empty()) put(TokenKind::name, *variable);
      return;
    }
    if (const Spelling* spelling = find_command(name)) return put(*spelling);
    if (const Spelling* prefix = find_command_prefix(name)) {  // "\cotx", for want of a space
      at_ -= name.size() - prefix->from.size();
      return put(*prefix);
    }
    put(TokenKind::name, std::string("\\").append(name));
  }

  // \left, \right and their kin say which side the next bar is.
  bool is_side(std::string_view name) {
    const auto is_one_of = [name](std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (is_one_of({"left", "mleft", "bigl", "Bigl", "biggl", "Biggl"})) {
      side_ = Side::left;
    } else if (is_one_of({"right", "mright", "bigr", "Bigr", "biggr", "Biggr"})) {
      side_ = Side::right;
    } else {
      return name == "middle";
    }
    if (peek() == '.') ++at_;  // no delimiter
    return true;
  }

  void environment(bool begins) {
    const std::string_view name = braces().value_or("");
    if (begins) {
      aligned_.push_back(is_aligned_environment(name));
    } else if (!aligned_.empty()) {
      aligned_.pop_back();
    }
    if (begins && name == "array") static_cast<void>(braces());  // its columns
    put(begins ? TokenKind::begin : TokenKind::end, name);
  }

  // A backslash before what is no letter.
  void escaped(char next) {
    // "\\frac" outside a matrix is "\frac" that was escaped once too often.
    if (next == '\\' && aligned_.empty() && is_letter(peek(2))) {
      at_ += 1;
      return;
    }
    at_ += at_ + 1 < text_.size() ? 2 : 1;
    if (next == '\\') return put(TokenKind::mark, aligned_.empty() ? "," : "\\\\");
    if (next == '{') return put(TokenKind::mark, "\\{");
    if (next == '}') return put(TokenKind::mark, "\\}");
    if (next == '|') return bar();
    if (next == '%') return put(TokenKind::mark, "%");
    space_ = true;  // \, \; \! \: "\ " \$ \( \) \[ \] \& and the like
  }

  // \text{…}: mathematics where it has digits, a name where it is one letter, else words.
  void prose(std::string_view command) {
    if (command == "operatorname" && peek() == '*') ++at_;
    const std::optional<std::string_view> content = braces();
    if (!content) return;
    std::string_view inner = *content;
    while (!inner.empty() && is_space(inner.front())) inner.remove_prefix(1);
    while (!inner.empty() && is_space(inner.back())) inner.remove_suffix(1);
    if (command == "mathbb" && inner.size() == 1) {
      return put(TokenKind::name, std::string("\\mathbb{").append(inner) + '}');
    }
    const Spelling* function = find_upright(inner);
    const bool is_operator = command == "operatorname" || command == "mathop";
    if (function != nullptr && (is_operator || begins_arguments())) return put(*function);
    const bool has_digit = std::any_of(inner.begin(), inner.end(), is_digit);
    if (has_digit || inner.size() == 1 || find_word(inner) != nullptr) {
      if (depth_ >= 8) return;
      Tokenizer nested(inner);
      nested.depth_ = depth_ + 1;
      std::vector<Token> tokens = nested.run();
      tokens.pop_back();
      for (Token& token : tokens) tokens_.push_back(std::move(token));
    } else if (!inner.empty()) {
      put(TokenKind::words, inner);
    }
  }

  void word() {
    std::size_t end = at_;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    const std::string_view letters = text_.substr(at_, end - at_);
    at_ = end;
    if (const Spelling* spelling = find_word(letters)) return put(*spelling);
    const Spelling* upright = find_upright(letters);
    if (upright != nullptr && begins_arguments()) return put(*upright);
    const bool is_differential = integrals_ > 0 && letters.size() >= 3 && letters.size() <= 4 &&
                                 letters[letters.size() - 2] == 'd';
    if (letters.size() >= 3 && !is_product(letters) && !is_differential) {
      return put(TokenKind::words, letters);
    }
    static constexpr std::array<std::string_view, 11> kShortUnits = {
        "cm", "km", "mm", "kg", "mg", "ft", "in", "pm", "am", "mi", "if"};
    if (std::find(kShortUnits.begin(), kShortUnits.end(), letters) != kShortUnits.end()) {
      return put(TokenKind::words, letters);
    }
    for (const char& letter : letters) put(TokenKind::name, std::string_view(&letter, 1));
  }

  bool begins_arguments() const {
    return peek() == '(' || rest().starts_with("\\left(") || rest().starts_with("\\{");
  }

  // Letters side by side are a product where they are usual names of variables or of points.
  static bool is_product(std::string_view letters) {
    const bool variables =
        letters.size() <= 4 && letters.find_first_not_of("abcxyz") == std::string_view::npos;
    const bool points =
        std::none_of(letters.begin(), letters.end(), [](char c) { return c >= 'a' && c <= 'z'; }) &&
        letters.size() <= 4;
    return variables || points;
  }

  void other() {
    static constexpr std::string_view kMarks = "+-*/^_!'()[]{}|,;:&%";
    const bool is_longer = rest().starts_with("**") || rest().starts_with("!=");
    if (kMarks.find(peek()) != std::string_view::npos && !is_longer) {
      if (peek() == '|') {
        bar();
      } else if (peek() == '&' && !aligned_.empty() && aligned_.back()) {
        space_ = true;
      } else {
        put(TokenKind::mark, text_.substr(at_, 1));
      }
      ++at_;
      return;
    }
    if (const Spelling* spelling = find_character(rest())) {
      at_ += spelling->from.size();
      return put(*spelling);
    }
    if (script() || vulgar_fraction()) return;
    // Everything else is a word of its own: letters of other scripts, a stray quotation mark.
    std::size_t end = at_ + 1;
    while (end < text_.size() && (static_cast<unsigned char>(text_[end]) & 0xc0) == 0x80) ++end;
    if (peek() != '.') put(TokenKind::words, text_.substr(at_, end - at_));
    at_ = end;
  }

  const Script* find_script() const {
    if (static_cast<unsigned char>(peek()) < 0xc2) return nullptr;
    const auto found = std::find_if(kScripts.begin(), kScripts.end(), [this](const Script& row) {
      return rest().starts_with(row.from);
    });
    return found == kScripts.end() ? nullptr : &*found;
  }

  // "x²" and "x₁₂" are "x^{2}" and "x_{12}".
  bool script() {
    const Script* first = find_script();
    if (first == nullptr) return false;
    put(TokenKind::mark, first->mark == '^' ? "^" : "_");
    put(TokenKind::mark, "{");
    std::string digits;
    const auto put_digits = [&] {
      if (!digits.empty()) put(TokenKind::number, std::exchange(digits, ""));
    };
    for (const Script* next = first; next != nullptr && next->mark == first->mark;
         next = find_script()) {
      at_ += next->from.size();
      if (is_digit(next->digit)) {
        digits += next->digit;
        continue;
      }
      put_digits();
      put(next->digit == '-' ? TokenKind::mark : TokenKind::name,
          std::string_view(&next->digit, 1));
    }
    put_digits();
    put(TokenKind::mark, "}");
    return true;
  }

  bool vulgar_fraction() {
    for (const Vulgar& row : kVulgarFractions) {
      if (!rest().starts_with(row.from)) continue;
      at_ += row.from.size();
      put(TokenKind::command, "frac");
      put(TokenKind::number, row.above);
      put(TokenKind::number, row.below);
      return true;
    }
    return false;
  }

  enum class Side { unknown, left, right };

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t brackets_ = 0;   // ( [ \{ that are open
  std::vector<bool> aligned_;  // of \begin that are open: whether & says nothing
  int depth_ = 0;              // of \text within \text
  int integrals_ = 0;          // before here
  Side side_ = Side::unknown;  // what the next delimiter is
  bool space_ = false;
  std::vector<std::size_t> closing_;  // see match_braces
  std::vector<Token> tokens_;
};

}  // namespace

bool is_aligned_environment(std::string_view name) {
  for (const std::string_view known : {"aligned", "align", "align*", "gathered", "gather",
                                       "gather*", "split", "equation", "equation*"}) {
    if (name == known) return true;
  }
  return false;
}

std::vector<Token> tokenize(std::string_view text) {
  return Tokenizer(text).run();
}

}  // namespace zeroth::math
