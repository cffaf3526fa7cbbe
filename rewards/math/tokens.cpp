#include "rewards/math/tokens.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>
#include <utility>

#include "system/ascii.h"

namespace zeroth::math {
namespace {

struct Spelling {
  std::string_view from;
  TokenKind kind;
  std::string_view to;  // empty: dropped
};

constexpr TokenKind kMark = TokenKind::mark;
constexpr TokenKind kRelation = TokenKind::relation;
constexpr TokenKind kName = TokenKind::name;
constexpr TokenKind kCommand = TokenKind::command;

// Functions by the name that commands and plain words have in common.
constexpr std::array<std::string_view, 15> kFunctions = {
    "sin",    "cos",  "tan",  "cot",  "sec", "csc", "arcsin", "arccos",
    "arctan", "sinh", "cosh", "tanh", "ln",  "log", "exp"};

// Other commands of letters; those that stand in no table are symbols ("\alpha").
constexpr std::array kCommands = std::to_array<Spelling>({
    {"left", kMark, ""},
    {"right", kMark, ""},
    {"middle", kMark, ""},
    {"big", kMark, ""},
    {"Big", kMark, ""},
    {"bigg", kMark, ""},
    {"Bigg", kMark, ""},
    {"bigl", kMark, ""},
    {"bigr", kMark, ""},
    {"Bigl", kMark, ""},
    {"Bigr", kMark, ""},
    {"biggl", kMark, ""},
    {"biggr", kMark, ""},
    {"quad", kMark, ""},
    {"qquad", kMark, ""},
    {"displaystyle", kMark, ""},
    {"textstyle", kMark, ""},
    {"limits", kMark, ""},
    {"nolimits", kMark, ""},
    {"hspace", kMark, ""},
    {"hline", kMark, ""},
    {"cdot", kMark, "*"},
    {"times", kMark, "*"},
    {"ast", kMark, "*"},
    {"div", kMark, "/"},
    {"pm", kMark, "pm"},
    {"mp", kMark, "mp"},
    {"cup", kMark, "cup"},
    {"circ", kMark, "degree"},
    {"degree", kMark, "degree"},
    {"prime", kMark, "'"},
    {"lbrace", kMark, "\\{"},
    {"rbrace", kMark, "\\}"},
    {"lbrack", kMark, "["},
    {"rbrack", kMark, "]"},
    {"lvert", kMark, "|"},
    {"rvert", kMark, "|"},
    {"vert", kMark, "|"},
    {"mid", kMark, "|"},
    {"lparen", kMark, "("},
    {"rparen", kMark, ")"},
    {"colon", kMark, ":"},
    {"cr", kMark, "\\\\"},
    {"le", kRelation, "<="},
    {"leq", kRelation, "<="},
    {"leqslant", kRelation, "<="},
    {"ge", kRelation, ">="},
    {"geq", kRelation, ">="},
    {"geqslant", kRelation, ">="},
    {"lt", kRelation, "<"},
    {"gt", kRelation, ">"},
    {"ne", kRelation, "!="},
    {"neq", kRelation, "!="},
    {"in", kRelation, "in"},
    {"approx", kRelation, "approx"},
    {"simeq", kRelation, "approx"},
    {"infty", kName, "infinity"},
    {"pi", kName, "pi"},
    {"imath", kName, "i"},
    {"lg", kName, "lg"},
    {"frac", kCommand, "frac"},
    {"dfrac", kCommand, "frac"},
    {"tfrac", kCommand, "frac"},
    {"cfrac", kCommand, "frac"},
    {"sqrt", kCommand, "sqrt"},
    {"binom", kCommand, "binom"},
    {"dbinom", kCommand, "binom"},
    {"tbinom", kCommand, "binom"},
    {"boxed", kCommand, "boxed"},
    {"fbox", kCommand, "boxed"},
    {"overline", kCommand, "boxed"},
    {"bar", kCommand, "boxed"},
    {"vec", kCommand, "boxed"},
    {"hat", kCommand, "boxed"},
    {"widehat", kCommand, "boxed"},
    {"overrightarrow", kCommand, "boxed"},
    {"lfloor", kMark, "lfloor"},
    {"rfloor", kMark, "rfloor"},
    {"lceil", kMark, "lceil"},
    {"rceil", kMark, "rceil"},
    {"land", kMark, ","},
    {"lor", kMark, ","},
    {"therefore", kMark, ""},
});

// Other words of plain text that mean something in mathematics.
constexpr std::array kPlainWords = std::to_array<Spelling>({
    {"pi", kName, "pi"},          {"infinity", kName, "infinity"},
    {"infty", kName, "infinity"}, {"inf", kName, "infinity"},
    {"oo", kName, "infinity"},    {"sqrt", kCommand, "sqrt"},
    {"asin", kName, "arcsin"},    {"acos", kName, "arccos"},
    {"atan", kName, "arctan"},    {"abs", kName, "abs"},
    {"and", kMark, ","},          {"or", kMark, ","},
    {"degrees", kMark, "degree"}, {"degree", kMark, "degree"},
    {"deg", kMark, "degree"},     {"percent", kMark, "%"},
    {"pct", kMark, "%"},          {"percentage", kMark, "%"},
    {"alpha", kName, "\\alpha"},  {"beta", kName, "\\beta"},
    {"gamma", kName, "\\gamma"},  {"theta", kName, "\\theta"},
    {"phi", kName, "\\phi"},      {"lambda", kName, "\\lambda"},
});

// Commands whose braces hold prose or letters set upright.
constexpr std::array<std::string_view, 14> kTextCommands = {
    "text",   "textbf", "textit", "textrm", "textup", "textsf", "mathrm",
    "mathbf", "mathit", "mathsf", "mbox",   "hbox",   "mathbb", "operatorname"};

constexpr std::array kSymbols = std::to_array<Spelling>({
    {"\u2212", kMark, "-"},
    {"\u2013", kMark, "-"},
    {"\u00d7", kMark, "*"},
    {"\u00b7", kMark, "*"},
    {"\u22c5", kMark, "*"},
    {"\u00f7", kMark, "/"},
    {"\u00b1", kMark, "pm"},
    {"\u2213", kMark, "mp"},
    {"\u222a", kMark, "cup"},
    {"\u00b0", kMark, "degree"},
    {"\u2032", kMark, "'"},
    {"\u2264", kRelation, "<="},
    {"\u2265", kRelation, ">="},
    {"\u2260", kRelation, "!="},
    {"\u2248", kRelation, "approx"},
    {"\u2208", kRelation, "in"},
    {"\u221e", kName, "infinity"},
    {"\u03c0", kName, "pi"},
    {"\u221a", kCommand, "sqrt"},
    {"\u20ac", kMark, ""},
    {"\u00a3", kMark, ""},
    {"\u00a5", kMark, ""},
    {"\u00a0", kMark, ""},
    {"\u2009", kMark, ""},
    {"\u202f", kMark, ""},
    {"\uff0c", kMark, ","},
    {"\u3001", kMark, ","},
    {"<=", kRelation, "<="},
    {">=", kRelation, ">="},
    {"!=", kRelation, "!="},
    {"==", kRelation, "="},
    {"**", kMark, "^"},
    {"=", kRelation, "="},
    {"<", kRelation, "<"},
    {">", kRelation, ">"},
    {"~", kMark, ""},
    {"$", kMark, ""},
});

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

template <std::size_t N>
const Spelling* find(const std::array<Spelling, N>& table, std::string_view word) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [word](const Spelling& row) { return row.from == word; });
  return found == table.end() ? nullptr : &*found;
}

bool is_common_function(std::string_view word) {
  return std::find(kFunctions.begin(), kFunctions.end(), word) != kFunctions.end();
}

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
  }
  void put(const Spelling& spelling) {
    if (!spelling.to.empty()) put(spelling.kind, spelling.to);
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
      if (is_digit(peek())) digits += '.';
      while (is_digit(peek())) digits += text_[at_++];
    }
    put(TokenKind::number, digits);
    scientific();
  }

  // "E-5" after a number, as programs print it.
  void scientific() {
    if (peek() != 'e' && peek() != 'E') return;
    const bool has_sign = peek(1) == '+' || peek(1) == '-';
    if (!is_digit(peek(has_sign ? 2 : 1)) || (peek() == 'e' && !has_sign)) return;
    put(TokenKind::mark, "*");
    put(TokenKind::number, "10");
    put(TokenKind::mark, "^");
    at_ += 1;
    if (has_sign && peek() == '-') put(TokenKind::mark, "-");
    if (has_sign) at_ += 1;
    std::string digits;
    while (is_digit(peek())) digits += text_[at_++];
    put(TokenKind::number, digits);
  }

  // The content of the braces that open here, which are left behind; nothing where none open.
  std::optional<std::string_view> braces() {
    std::size_t begin = at_;
    while (begin < text_.size() && is_space(text_[begin])) ++begin;
    if (begin >= text_.size() || text_[begin] != '{') return std::nullopt;
    std::size_t depth = 0;
    for (std::size_t i = begin; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (text_[i] == '{') {
        ++depth;
      } else if (text_[i] == '}' && --depth == 0) {
        at_ = i + 1;
        return text_.substr(begin + 1, i - begin - 1);
      }
    }
    return std::nullopt;
  }

  void command() {
    const char next = peek(1);
    if (!is_letter(next)) return escaped(next);
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end;
    if (std::find(kTextCommands.begin(), kTextCommands.end(), name) != kTextCommands.end()) {
      return prose();
    }
    if (name == "begin" || name == "end") {
      const std::string_view environment = braces().value_or("");
      environments_ += name == "begin" ? 1 : -1;
      if (environment == "array") static_cast<void>(braces());  // its columns
      return put(name == "begin" ? TokenKind::begin : TokenKind::end, environment);
    }
    if (is_common_function(name)) return put(TokenKind::name, name);
    if (const Spelling* spelling = find(kCommands, name)) return put(*spelling);
    // "\cotx", for want of a space.
    for (std::size_t length = name.size() - 1; length >= 2; --length) {
      if (!is_function_name(name.substr(0, length))) continue;
      at_ -= name.size() - length;
      return put(TokenKind::name, name.substr(0, length));
    }
    put(TokenKind::name, std::string("\\").append(name));
  }

  // A backslash before what is no letter.
  void escaped(char next) {
    // "\\frac" outside a matrix is "\frac" that was escaped once too often.
    if (next == '\\' && environments_ <= 0 && is_letter(peek(2))) {
      at_ += 1;
      return;
    }
    at_ += at_ + 1 < text_.size() ? 2 : 1;
    if (next == '\\') return put(TokenKind::mark, environments_ > 0 ? "\\\\" : ",");
    if (next == '{') return put(TokenKind::mark, "\\{");
    if (next == '}') return put(TokenKind::mark, "\\}");
    if (next == '|') return put(TokenKind::mark, "|");
    if (next == '%') return put(TokenKind::mark, "%");
    space_ = true;  // \, \; \! \: "\ " \$ \( \) \[ \] \& and the like
  }

  // \text{…}: mathematics where it has digits, a name where it is one letter, else words.
  void prose() {
    const std::optional<std::string_view> content = braces();
    if (!content) return;
    std::string_view inner = *content;
    while (!inner.empty() && is_space(inner.front())) inner.remove_prefix(1);
    while (!inner.empty() && is_space(inner.back())) inner.remove_suffix(1);
    const bool has_digit = std::any_of(inner.begin(), inner.end(), is_digit);
    if (has_digit || inner.size() == 1 || is_common_function(inner) || find(kPlainWords, inner)) {
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
    if (is_common_function(letters)) return put(TokenKind::name, letters);
    if (const Spelling* spelling = find(kPlainWords, letters)) return put(*spelling);
    if (letters.size() >= 3 && !is_product(letters)) return put(TokenKind::words, letters);
    static constexpr std::array<std::string_view, 10> kShortUnits = {"cm", "km", "mm", "kg", "mg",
                                                                     "ft", "in", "pm", "am", "mi"};
    if (std::find(kShortUnits.begin(), kShortUnits.end(), letters) != kShortUnits.end()) {
      return put(TokenKind::words, letters);
    }
    for (const char& letter : letters) put(TokenKind::name, std::string_view(&letter, 1));
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
      put(TokenKind::mark, text_.substr(at_, 1));
      ++at_;
      return;
    }
    for (const Spelling& spelling : kSymbols) {
      if (!rest().starts_with(spelling.from)) continue;
      at_ += spelling.from.size();
      if (spelling.to.empty()) space_ = true;
      return put(spelling);
    }
    // Everything else is a word of its own: letters of other scripts, a stray quotation mark.
    std::size_t end = at_ + 1;
    while (end < text_.size() && (static_cast<unsigned char>(text_[end]) & 0xc0) == 0x80) ++end;
    if (peek() != '.') put(TokenKind::words, text_.substr(at_, end - at_));
    at_ = end;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t brackets_ = 0;  // ( [ \{ that are open
  int environments_ = 0;      // \begin that are open
  int depth_ = 0;             // of \text within \text
  bool space_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view text) {
  return Tokenizer(text).run();
}

bool is_function_name(std::string_view name) {
  return is_common_function(name) || name == "lg" || name == "abs";
}

}  // namespace zeroth::math
