// What the commands, words and characters that answers are written in stand for.
#pragma once

#include <string_view>

#include "rewards/math/tokens.h"

namespace zeroth::math {

struct Spelling {
  std::string_view from;
  TokenKind kind;
  std::string_view to;  // the token's text; empty: no token
};

/// Of a command of letters, without its backslash; null for one that is a symbol or unknown.
const Spelling* find_command(std::string_view name);

/// The longest beginning of `name` that is a delimiter, a function or a usual operator, as
/// "\lvertx",
/// "\cotx" and "\timesx" have for want of a space; null where there is none.
const Spelling* find_command_prefix(std::string_view name);

/// Of letters in plain text that mean something in mathematics; null for others.
const Spelling* find_word(std::string_view letters);

/// Of letters that name a function where they are set upright or stand before a bracket.
const Spelling* find_upright(std::string_view letters);

/// Of what `text` begins with, one character outside of ASCII or an operator in it; null for none.
const Spelling* find_character(std::string_view text);

/// Whether the braces after the command hold prose or letters set upright.
bool is_text_command(std::string_view name);

}  // namespace zeroth::math
