// Recorded cases of graders, rewards and extractors: JSONL rows with what should come out, graded
// by our own rules.
//
// Goals: every row is accounted for: agreeing, differing with a reason, not labelled, not
// understood or broken. Non-goal: deciding who is right where graders differ; such rows say so and
// are counted apart.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/json.h"

namespace zeroth {

/// What became of one row.
struct CaseResult {
  std::string mode;                       // the kind of case, as the row or its keys say
  bool is_verdict = false;                // got and expected say whether two answers are the same
  boost::json::value got = {};            // true or false, a text, a list, a number; null = nothing
  boost::json::value expected = {};       // likewise
  std::optional<bool> ok = std::nullopt;  // nothing: the row has no label
  std::string why = {};                   // what decided, in a few words
  double micros = 0;                      // of the grading alone, without the reading of the row
};

/// One line of a file, and what became of it.
struct GradedCase {
  enum class State {
    graded,
    not_understood,  // result.mode names the kind
    broken,          // result.why says what is wrong
  };
  std::string where;  // "file:line"
  std::string id = {};
  State state = State::graded;
  bool is_disputed = false;  // the row says that graders differ
  CaseResult result = {};
};

/// `path` itself, or every *.jsonl below that directory, sorted. InputError where there is none.
std::vector<std::filesystem::path> case_files(const std::filesystem::path& path);

/// Every row of a file that is not blank, in order. Throws InputError for an unreadable file only.
std::vector<GradedCase> grade_file(const std::filesystem::path& file);

/// The kind of a row: its "mode", or what its keys say ("latex2sympy_parse", "pathological",
/// "reward call: NAME"), or "unknown".
std::string case_kind(const JsonReader& row);

/// Counts of one file, or of several.
struct CaseTally {
  std::size_t rows = 0;
  std::size_t labelled = 0;  // graded, with a label and not disputed; the next three are among them
  std::size_t agree = 0;
  std::size_t false_positives = 0;  // verdicts: wrongly equal
  std::size_t false_negatives = 0;  // verdicts: wrongly different
  std::size_t disputed = 0;         // graded, labelled, disputed
  std::size_t disputed_agree = 0;
  std::size_t unlabelled = 0;
  std::size_t not_understood = 0;
  std::size_t broken = 0;
  double max_micros = 0;

  void add(const GradedCase& graded);
  void add(const CaseTally& other);
};

/// One line: {"id", "file", "mode", "verdict" or "got", "expected", "ok", "why", "micros"}, and
/// "disputed" where the row is. `ok` is null without a label.
std::string case_json(const GradedCase& graded);

}  // namespace zeroth
