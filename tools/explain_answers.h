// zeroth score --explain: how the answer of each completion was found, read and judged.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/answers/answer_extraction.h"

namespace zeroth {

/// A completion with its reference, and the line of the file that it stands in.
struct AnswerToExplain {
  std::string_view completion, reference;
  std::size_t line = 0;
};

/// Prints for each what rule fired, the text it found, how answer and reference were read, the
/// verdict with its reason, and what it took; as one JSON object a line with `json`.
void explain_answers(const std::vector<AnswerToExplain>& answers, const ExtractionConfig& rules,
                     bool json);

}  // namespace zeroth
