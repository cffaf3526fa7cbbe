#include "tools/cases.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <utility>

#include "system/error.h"
#include "system/file.h"
#include "system/lines.h"
#include "tools/math_cases.h"
#include "tools/reward_cases.h"

namespace zeroth {
namespace {

// A grader takes the rows of some kinds.
struct Grader {
  bool (*grades)(std::string_view kind);
  CaseResult (*grade)(const JsonReader& row, const std::string& kind);
};
constexpr Grader kGraders[] = {{grades_math_case, grade_math_case},
                               {grades_reward_case, grade_reward_case}};

// The error without its source, which stands before it.
std::string message_of(const InputError& error, const std::string& where) {
  const std::string text = error.what();
  const std::string prefix = where + ": ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

GradedCase grade_line(std::string_view line, const std::string& where) {
  GradedCase graded{.where = where};
  try {
    const JsonReader row = JsonReader::parse(line, where);
    if (!row.value().is_object()) row.fail("an object");
    if (row.has("id")) {
      const boost::json::value& id = row.child("id").value();
      graded.id = id.is_string() ? std::string(id.get_string()) : write_json(id);
    }
    graded.is_disputed = row.has("disputed") || row.has("policy_note");
    const std::string kind = case_kind(row);
    graded.result.mode = kind;
    const auto* grader = std::find_if(std::begin(kGraders), std::end(kGraders),
                                      [&](const Grader& g) { return g.grades(kind); });
    if (grader == std::end(kGraders)) {
      graded.state = GradedCase::State::not_understood;
      graded.result.why = "no rule grades rows of this kind";
      return graded;
    }
    graded.result = grader->grade(row, kind);
  } catch (const InputError& error) {
    graded.state = GradedCase::State::broken;
    graded.result.why = message_of(error, where);
  }
  return graded;
}

}  // namespace

std::vector<std::filesystem::path> case_files(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && entry.path().extension() == ".jsonl") {
      files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    throw InputError({.source = path.string(),
                      .field = "",
                      .expected = "a JSONL file, or a directory with *.jsonl in it",
                      .actual = "none"});
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<GradedCase> grade_file(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  std::vector<GradedCase> cases;
  for (const TextLine& line : lines_of(text)) {
    if (line.is_blank()) continue;
    cases.push_back(grade_line(line.text, file.string() + ":" + std::to_string(line.number)));
  }
  return cases;
}

std::string case_kind(const JsonReader& row) {
  if (row.has("mode")) return row.get_string("mode");
  if (row.has("latex") && row.contains("value")) return "latex2sympy_parse";
  if (row.has("must") && row.contains("gold")) return "pathological";
  if (row.has("function")) return reward_case_kind(row);
  return "unknown";
}

void CaseTally::add(const GradedCase& graded) {
  ++rows;
  switch (graded.state) {
    case GradedCase::State::not_understood:
      ++not_understood;
      return;
    case GradedCase::State::broken:
      ++broken;
      return;
    case GradedCase::State::graded:
      break;
  }
  const CaseResult& result = graded.result;
  max_micros = std::max(max_micros, result.micros);
  if (!result.ok) {
    ++unlabelled;
  } else if (graded.is_disputed) {
    ++disputed;
    disputed_agree += *result.ok ? 1 : 0;
  } else {
    ++labelled;
    agree += *result.ok ? 1 : 0;
    if (result.is_verdict && !*result.ok) {
      ++(result.got.is_bool() && result.got.get_bool() ? false_positives : false_negatives);
    }
  }
}

void CaseTally::add(const CaseTally& other) {
  rows += other.rows;
  labelled += other.labelled;
  agree += other.agree;
  false_positives += other.false_positives;
  false_negatives += other.false_negatives;
  disputed += other.disputed;
  disputed_agree += other.disputed_agree;
  unlabelled += other.unlabelled;
  not_understood += other.not_understood;
  broken += other.broken;
  max_micros = std::max(max_micros, other.max_micros);
}

std::string case_json(const GradedCase& graded) {
  const CaseResult& result = graded.result;
  boost::json::object line{{"id", graded.id}, {"file", graded.where}, {"mode", result.mode}};
  if (graded.state == GradedCase::State::graded) {
    line[result.is_verdict ? "verdict" : "got"] = result.got;
    line["expected"] = result.expected;
    line["ok"] = nullptr;
    if (result.ok) line["ok"] = *result.ok;
  } else {
    line[graded.state == GradedCase::State::broken ? "error" : "not_understood"] = true;
    line["ok"] = nullptr;
  }
  line["why"] = result.why;
  line["micros"] = std::round(result.micros * 10) / 10;
  if (graded.is_disputed) line["disputed"] = true;
  return write_json(line);
}

}  // namespace zeroth
