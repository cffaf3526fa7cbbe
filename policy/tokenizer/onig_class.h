// Sets of characters in Oniguruma's syntax ([a-z&&[^\p{Han}]], \w, \p{L}) in that of PCRE2.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace zeroth {

/// One code point out of a set. PCRE2 has no sets within sets, so what needs them is alternatives
/// and looks ahead, each of which matches one code point too.
class CharacterSet {
 public:
  /// Adds what may stand inside brackets of PCRE2: "a-z", "\\p{L}".
  void add_items(std::string_view items) { items_ += items; }
  void add(const CharacterSet& other);
  void negate();
  void intersect(const CharacterSet& other);

  /// A PCRE2 expression for one code point of the set.
  std::string spelling() const;

 private:
  bool is_simple() const { return others_.empty(); }

  std::string items_;   // inside brackets
  std::string others_;  // further alternatives, with | between them
};

/// Where the expression stands, and whether case counts there.
struct PatternCursor {
  std::string_view text;
  std::size_t at = 0;
  bool ignore_case = false;
  int depth = 0;  // of sets and groups

  bool ends() const { return at >= text.size(); }
  bool next_is(std::string_view what) const { return text.substr(at).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at += what.size();
    return true;
  }
  /// PatternError with the place.
  [[noreturn]] void fail(const std::string& reason) const;
};

/// The set that begins at the cursor with '['.
CharacterSet read_bracketed_set(PatternCursor& cursor);

/// The set of an escape such as \d or \P{L}, the cursor being behind the backslash. False, and the
/// cursor stays, where none of those stands there.
bool read_escaped_set(PatternCursor& cursor, CharacterSet& set);

/// The code point of an escape such as \n, \x{E9} or \], the cursor being behind the backslash.
/// PatternError for what Oniguruma reads as something else or not at all.
char32_t read_escaped_character(PatternCursor& cursor);

/// `c` as PCRE2 spells it, inside brackets and outside.
std::string character_spelling(char32_t c);

/// PatternError for a character or range whose case folding is not ASCII's, where case is ignored.
void check_case(const PatternCursor& cursor, char32_t first, char32_t last);

}  // namespace zeroth
