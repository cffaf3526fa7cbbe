#include "tools/math_cases.h"

#include <boost/json.hpp>
#include <optional>
#include <utility>

#include "rewards/answer_extraction.h"
#include "rewards/math/equality.h"
#include "rewards/math_reward.h"
#include "tools/clock.h"

namespace zeroth {
namespace {

constexpr double kMicrosPerSecond = 1e6;
constexpr double kMaxHostileMicros = 10'000;  // of a case that is meant to hang

// What was asked and what it costs.
template <typename Work>
double micros_of(const Work& work) {
  const double begin = monotonic_seconds();
  work();
  return (monotonic_seconds() - begin) * kMicrosPerSecond;
}

// The text at `key`; a number as it is written; nothing for null.
std::optional<std::string> text_at(const JsonReader& row, std::string_view key) {
  if (!row.contains(key)) row.fail(key, "a text");
  const JsonReader value = row.child(key);
  if (value.value().is_null()) return std::nullopt;
  if (value.value().is_number()) return write_json(value.value());
  return value.as_string();
}

std::string option(const JsonReader& row, std::string_view key) {
  return row.has("options") ? row.child("options").get_string(key, "") : "";
}

// The answers of a row's two sides.
struct Sides {
  std::optional<std::string> gold, pred;
  std::string found_by;
};

std::optional<std::string> extracted(const std::optional<std::string>& text,
                                     const ExtractionConfig& config, std::string& found_by) {
  if (!text) return std::nullopt;
  const std::optional<Extraction> found = extract_answer(*text, config);
  if (!found) return std::nullopt;
  found_by = answer_rule_name(found->rule);
  return std::string(found->text);
}

Sides sides_of(const JsonReader& row, const std::string& kind) {
  Sides sides{.gold = text_at(row, "gold"), .pred = text_at(row, "pred"), .found_by = ""};
  if (kind == "answer-vs-answer") return sides;
  const std::string prefix = option(row, "answer_prefix");
  const ExtractionConfig config =
      prefix.empty() ? ExtractionConfig{} : parse_extraction("after=" + prefix);
  sides.pred = extracted(sides.pred, config, sides.found_by);
  if (sides.gold) {
    if (const auto box = last_boxed(*sides.gold)) sides.gold = std::string(*box);
  }
  return sides;
}

void compare(const Sides& sides, CaseResult& result) {
  if (!sides.gold || !sides.pred) {
    result.got = false;
    result.why = sides.gold ? "no answer" : "no reference";
    return;
  }
  const bool equal = answers_equal(*sides.pred, *sides.gold);
  result.got = equal;
  result.why =
      (sides.found_by.empty() ? "" : sides.found_by + ": ") +
      std::string(math::reason_name(math::compare_answers(*sides.pred, *sides.gold).reason));
}

CaseResult grade_verdict(const JsonReader& row, const std::string& kind) {
  CaseResult result{.mode = kind, .is_verdict = true};
  Sides sides;
  result.micros = micros_of([&] {
    sides = sides_of(row, kind);
    compare(sides, result);
  });
  if (row.has("expected")) {
    result.expected = row.get_bool("expected");
    result.ok = result.got == result.expected;
  }
  return result;
}

CaseResult grade_extraction(const JsonReader& row, const std::string& kind) {
  CaseResult result{.mode = kind};
  const std::string text = row.get_string("text");
  std::optional<std::string_view> found;
  result.micros = micros_of([&] {
    found = last_boxed(text);
    if (found && kind == "extract-final") found = trimmed(*found);
  });
  if (found) result.got = *found;
  result.why = found ? "boxed" : "no box that closes";
  if (!row.contains("expected_out")) row.fail("expected_out", "a text or null");
  result.expected = row.child("expected_out").value();
  result.ok = result.got == result.expected;
  return result;
}

// A case that is meant to hang: an answer in time, and never equal by mistake.
CaseResult grade_pathological(const JsonReader& row, const std::string& kind) {
  CaseResult result = grade_verdict(row, kind);
  result.expected = false;
  result.ok = !result.got.as_bool() && result.micros <= kMaxHostileMicros;
  return result;
}

}  // namespace

bool grades_math_case(std::string_view kind) {
  return kind == "answer-vs-answer" || kind == "text-vs-text" || kind == "text-vs-answer" ||
         kind == "completion" || kind == "extract-last-boxed" || kind == "extract-final" ||
         kind == "pathological";
}

CaseResult grade_math_case(const JsonReader& row, const std::string& kind) {
  if (kind == "pathological") return grade_pathological(row, kind);
  if (kind.starts_with("extract-")) return grade_extraction(row, kind);
  return grade_verdict(row, kind);
}

}  // namespace zeroth
