#include "policy/tokenizer/onig_pattern.h"

#include <cctype>
#include <charconv>
#include <optional>

#include "policy/tokenizer/onig_class.h"
#include "policy/tokenizer/unicode.h"

namespace zeroth {
namespace {

constexpr int kDeepest = 200;       // groups within groups
constexpr int kMostRepeats = 1000;  // as a number in {}

class PatternTranslator {
 public:
  explicit PatternTranslator(std::string_view pattern) { cursor_.text = pattern; }

  std::string translate() {
    read_alternatives();
    if (!cursor_.ends()) cursor_.fail("a ) without (");
    return std::move(out_);
  }

 private:
  enum class Atom { none, matches, asserts };

  /// Up to the end of the group.
  void read_alternatives() {
    if (++cursor_.depth > kDeepest) cursor_.fail("too many groups within groups");
    atom_ = Atom::none;
    while (!cursor_.ends() && !cursor_.next_is(")")) {
      if (cursor_.take("|")) {
        out_ += '|';
        set_atom(Atom::none, out_.size());
      } else if (!read_quantifier()) {
        read_atom();
      }
    }
    --cursor_.depth;
  }

  void set_atom(Atom kind, std::size_t begin) {
    atom_ = kind;
    atom_begin_ = begin;
    atom_repeats_ = false;
    last_letter_ = 0;
  }

  void emit(Atom kind, std::string_view text) {
    const std::size_t begin = out_.size();
    out_ += text;
    set_atom(kind, begin);
  }

  void read_atom() {
    if (cursor_.next_is("[")) return emit(Atom::matches, read_bracketed_set(cursor_).spelling());
    if (cursor_.next_is("(")) return read_group();
    if (cursor_.take("^")) return emit(Atom::asserts, "^");
    if (cursor_.take("$")) return emit(Atom::asserts, "$");
    if (cursor_.take(".")) {
      return emit(Atom::matches, dot_matches_newline_ ? R"([\x{0}-\x{10FFFF}])" : R"([^\x{A}])");
    }
    if (cursor_.take("\\")) return read_escape();
    const CodePoint c = code_point_at(cursor_.text, cursor_.at);
    cursor_.at += c.size;
    emit_character(c.value);
  }

  void emit_character(char32_t c) {
    check_case(cursor_, c, c);
    const char letter = c < 0x80 ? static_cast<char>(std::tolower(static_cast<int>(c))) : '\0';
    if (cursor_.ignore_case && last_letter_ != 0) {
      // Oniguruma folds ß to ss, and five ligatures: one character that two letters match.
      for (const std::string_view pair : {"ss", "ff", "fi", "fl", "st"}) {
        if (last_letter_ == pair[0] && letter == pair[1]) {
          cursor_.fail("\"" + std::string(pair) + "\" where case is ignored is not supported");
        }
      }
    }
    emit(Atom::matches, character_spelling(c));
    last_letter_ = letter;
  }

  void read_escape() {
    CharacterSet set;
    if (read_escaped_set(cursor_, set)) return emit(Atom::matches, set.spelling());
    for (const char* anchor : {"A", "z", "Z"}) {
      if (cursor_.take(anchor)) return emit(Atom::asserts, std::string("\\") + anchor);
    }
    if (cursor_.take("R")) return emit(Atom::matches, "\\R");
    if (cursor_.next_is("b") || cursor_.next_is("B")) return read_word_boundary();
    emit_character(read_escaped_character(cursor_));
  }

  void read_word_boundary() {
    const bool negated = cursor_.take("B");
    if (!negated) cursor_.take("b");
    PatternCursor word{.text = "w"};
    CharacterSet set;
    read_escaped_set(word, set);
    const std::string w = set.spelling();
    emit(Atom::asserts, negated ? "(?:(?<=" + w + ")(?=" + w + ")|(?<!" + w + ")(?!" + w + "))"
                                : "(?:(?<=" + w + ")(?!" + w + ")|(?<!" + w + ")(?=" + w + "))");
  }

  void read_group() {
    const std::size_t begin = out_.size();
    Atom kind = Atom::matches;
    const bool ignore_case = cursor_.ignore_case;
    const bool dot_matches_newline = dot_matches_newline_;
    if (cursor_.take("(?#")) {
      const std::size_t end = cursor_.text.find(')', cursor_.at);
      if (end == std::string_view::npos) cursor_.fail("a comment without )");
      cursor_.at = end + 1;
      return;
    }
    bool rest_of_group = false;  // (?i) stands for the rest of the group it is in
    std::optional<std::string_view> opening;
    for (const std::string_view head : {"(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!"}) {
      if (!opening && cursor_.take(head)) opening = head;
    }
    if (opening) {
      if (*opening != "(?:" && *opening != "(?>") kind = Atom::asserts;
      out_ += *opening;
    } else if (cursor_.take("(?<")) {
      const std::size_t end = cursor_.text.find('>', cursor_.at);
      if (end == std::string_view::npos) cursor_.fail("a name without >");
      cursor_.at = end + 1;
      out_ += "(?:";
    } else if (cursor_.take("(?")) {
      rest_of_group = read_options();
    } else {
      cursor_.take("(");
      out_ += "(?:";  // nothing refers to groups
    }
    read_alternatives();
    if (!rest_of_group && !cursor_.take(")")) cursor_.fail("a ( without )");
    out_ += ')';
    cursor_.ignore_case = ignore_case;
    dot_matches_newline_ = dot_matches_newline;
    set_atom(rest_of_group ? Atom::none : kind, begin);
  }

  /// The letters of (?im-im) or (?im-im:, of which the former holds for the rest of the group.
  bool read_options() {
    bool on = true;
    while (!cursor_.ends() && !cursor_.next_is(":") && !cursor_.next_is(")")) {
      if (cursor_.take("-")) {
        on = false;
      } else if (cursor_.take("i")) {
        cursor_.ignore_case = on;
      } else if (cursor_.take("m")) {
        dot_matches_newline_ = on;
      } else {
        cursor_.fail("a group of this kind is not supported");
      }
    }
    out_ += cursor_.ignore_case ? "(?i:" : "(?-i:";
    if (cursor_.take(":")) return false;
    if (!cursor_.take(")")) cursor_.fail("a ( without )");
    return true;
  }

  std::optional<int> read_number() {
    int value = 0;
    const char* begin = cursor_.text.data() + cursor_.at;
    const auto [end, error] =
        std::from_chars(begin, cursor_.text.data() + cursor_.text.size(), value);
    if (end == begin || *begin == '-') return std::nullopt;
    if (error != std::errc() || value > kMostRepeats) {
      cursor_.fail("at most " + std::to_string(kMostRepeats) + " repetitions are supported");
    }
    cursor_.at += static_cast<std::size_t>(end - begin);
    return value;
  }

  /// {n}, {n,}, {,m} and {n,m}; nothing, and the cursor stays, where { is a character.
  std::optional<std::string> read_interval() {
    const std::size_t begin = cursor_.at;
    cursor_.take("{");
    const std::optional<int> low = read_number();
    std::optional<int> high = low;
    if (cursor_.take(",")) {
      high = read_number();
      if (!low && !high) cursor_.at = begin;
    }
    if (cursor_.at == begin || (!low && !high) || !cursor_.take("}")) {
      cursor_.at = begin;
      return std::nullopt;
    }
    if (low && high && *high < *low) cursor_.fail("{n,m} with m below n is not supported");
    const bool fixed = low && high && *low == *high;
    if (fixed && cursor_.next_is("?")) cursor_.fail("{n}? is not supported");
    return "{" + std::to_string(low.value_or(0)) + "," + (high ? std::to_string(*high) : "") + "}";
  }

  bool read_quantifier() {
    std::string quantifier;
    bool interval = false;
    if (cursor_.next_is("{")) {
      const std::optional<std::string> read = read_interval();
      if (!read) return false;
      quantifier = *read;
      interval = true;
    } else if (cursor_.next_is("*") || cursor_.next_is("+") || cursor_.next_is("?")) {
      quantifier = cursor_.text[cursor_.at++];
    } else {
      return false;
    }
    if (atom_ != Atom::matches) cursor_.fail("nothing to repeat");
    // {n}+ is a repetition of the repetition here.
    if (cursor_.take("?")) {
      quantifier += '?';
    } else if (!interval && cursor_.take("+")) {
      quantifier += '+';
    }
    const std::size_t begin = atom_begin_;
    if (atom_repeats_) {
      out_.insert(begin, "(?:");
      out_ += ')';
    }
    out_ += quantifier;
    set_atom(Atom::matches, begin);
    atom_repeats_ = true;
    return true;
  }

  PatternCursor cursor_;
  std::string out_;
  Atom atom_ = Atom::none;  // what a quantifier would repeat, and where it begins
  std::size_t atom_begin_ = 0;
  bool atom_repeats_ = false;  // has a quantifier already
  char last_letter_ = 0;       // that stands directly before
  bool dot_matches_newline_ = false;
};

}  // namespace

std::string pcre2_spelling(std::string_view pattern) {
  return PatternTranslator(pattern).translate();
}

}  // namespace zeroth
