// What words say of an answer: the phrase before it, a letter of a choice, the last number, and
// whether a text is prose at all. Total, and linear in the length.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/answers/formula_search.h"

namespace zeroth {

/// The sentence's rest after the last "answer is" or "answer:" that something follows.
std::optional<std::string_view> answer_phrase(std::string_view text);

/// A capital that stands alone: in the phrase, else "B) …" at the very beginning, else the last one
/// that is neither "I" nor the article "A".
std::optional<std::string_view> chosen_letter(std::string_view text);

/// The same for one of `choices`, which may be words.
std::optional<std::string_view> chosen_word(std::string_view text,
                                            const std::vector<std::string>& choices);

/// Digits with signs, commas, a point, a slash or a percent sign.
std::optional<std::string_view> last_number(std::string_view text);

/// Whether `text` as a whole is one answer of these kinds: mathematics, a value with its unit, one
/// word.
bool is_whole_answer(std::string_view text, const FormulaKinds& kinds);

}  // namespace zeroth
