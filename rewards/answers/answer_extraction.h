// Finds the final answer in a completion.
//
// Goals: total (any bytes), linear in the length, and says which rule fired. Non-goal: judging the
// answer (math_reward).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/answers/formula_search.h"

namespace zeroth {

enum class AnswerRule {
  tag,      // <answer>42</answer>: the last complete pair
  boxed,    // \boxed{42} or \fbox{42}: the last one whose brace closes; braces nest, \{ and \} are
            // text. Boxes of one sentence that commas, "and" or "or" join are a list.
  hashes,   // #### 42: the line after the last ####
  phrase,   // "the answer is 42.", "Answer: 42": the sentence's rest, in any case
  whole,    // the whole text, where it reads as one answer and is no prose
  formula,  // the last formula or plain number, as formula_search.h finds them; a phrase's sentence
            // is narrowed to the formula that it states
  choice,   // a letter that stands alone: in the phrase above, else "B) …" at the beginning, else
            // the last one that is neither "I" nor the article "A"
  number,   // the last number: digits with signs, commas, a point, a slash or a percent sign
  after,    // the line after the last occurrence of ExtractionConfig::prefix
};

struct ExtractionConfig {
  /// Tried in this order; the first rule that finds a text wins.
  std::vector<AnswerRule> order = {AnswerRule::tag, AnswerRule::boxed, AnswerRule::hashes};
  std::string prefix = {};  // of AnswerRule::after, e.g. "A:"; not empty where that rule is used
  /// The text must hold what the rule looks for once, and nothing but white space, marks of
  /// formulas and a full stop after it: the format a prompt asked for and nothing else.
  bool strict = false;
  FormulaKinds formulas = {};             // that AnswerRule::formula and ::whole look for
  std::vector<std::string> choices = {};  // of AnswerRule::choice; empty = any capital letter
};

/// Reads "tag,boxed,hashes,after=A:" (after= comes last and takes the rest of the text), "strict"
/// among the rules for ExtractionConfig::strict. Throws InputError naming the nearest rule for an
/// unknown name, and for a rule given twice or none at all.
ExtractionConfig parse_extraction(std::string_view text);

struct Extraction {
  std::string text;  // a part of the completion, or parts joined by ", "; without surrounding white
                     // space, not empty
  AnswerRule rule = AnswerRule::tag;
};

/// The answer by the first rule that applies. Where `tag`, `hashes` or `after` fires and `boxed` is
/// among the rules, a box inside the text found narrows it to the box's content; the rule reported
/// is still the one that fired.
std::optional<Extraction> extract_answer(std::string_view completion,
                                         const ExtractionConfig& config);

/// The content of the last box, as it stands between its braces; nothing when no box closes.
std::optional<std::string_view> last_boxed(std::string_view text);

/// What AnswerRule::boxed finds: the last box, or the boxes that its sentence makes a list of.
std::optional<std::string> boxed_answer(std::string_view text);

/// `text` without ASCII white space at its ends.
std::string_view trimmed(std::string_view text);

std::string_view answer_rule_name(AnswerRule rule);

}  // namespace zeroth
