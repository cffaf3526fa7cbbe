// Characters of a text: what a rule needs to know of them beyond ASCII.
//
// Goal: total, for bytes that are no UTF-8 too. Non-goal: all of Unicode; the scripts here are
// those that large languages are written in, after Unicode 15 (Scripts.txt, letters alone).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace zeroth {

/// Takes the first character off `text`, which is not empty. A byte that begins none is U+FFFD.
char32_t take_character(std::string_view& text);

std::size_t count_characters(std::string_view text);

/// What a reward's parameters call a script: "latin", "han", …, in alphabetical order.
std::span<const std::string_view> script_names();

/// Index in script_names() of the script that the letter `c` belongs to; nothing for what is no
/// letter, belongs to several scripts or to one that is not there.
std::optional<std::size_t> script_of(char32_t c);

/// White space, as Python splits words at it.
bool is_white_space(char32_t c);

/// A letter or a digit: in ASCII exactly; beyond it everything but white space, punctuation,
/// symbols and combining accents.
bool is_alphanumeric(char32_t c);

/// The lower case of a Latin, Greek, Cyrillic or Armenian letter; other characters as they are.
char32_t to_lower_case(char32_t c);

}  // namespace zeroth
