// Splits what answers are written in (LaTeX, plain mathematics, some Unicode) into tokens.
//
// Goals: total, linear in the length. What has no meaning for the value (spaces, \left, $, \,
// styles, currency) is dropped; what has several spellings gets one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zeroth::math {

enum class TokenKind {
  number,    // text: digits, at most one point; thousands separators are gone
  name,      // text: one letter, or a word known as a constant or a function: "x", "pi", "\alpha"
  command,   // text: what takes arguments, without its backslash: "frac", "sqrt", "sum"
  mark,      // text: one of + - * / ^ _ ! ' ( ) [ ] { } \{ \} | , ; : & \\ % and lvert rvert
             // lfloor rfloor lceil rceil degree pm mp mod over choose to cup cap setminus
  relation,  // text: = < > <= >= != in notin subset superset approx
  words,     // text: prose or a unit, as it stands
  begin,     // text: an environment's name, e.g. "pmatrix"
  end,
  finish,  // after the last
};

struct Token {
  TokenKind kind = TokenKind::finish;
  std::string text;
  bool after_space = false;  // white space stands before it

  bool is(TokenKind k, std::string_view t) const { return kind == k && text == t; }
  bool is_mark(std::string_view t) const { return is(TokenKind::mark, t); }
};

/// At least one token: the last is `finish`.
std::vector<Token> tokenize(std::string_view text);

/// Whether an environment of that name holds lines, whose alignment marks are no tokens.
bool is_aligned_environment(std::string_view name);

/// Whether `name` is a function that is written before its arguments: sin, ln, gcd, …
bool is_function_name(std::string_view name);

}  // namespace zeroth::math
