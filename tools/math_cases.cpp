#include "tools/math_cases.h"

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/answers/answer_extraction.h"
#include "rewards/math/value_at.h"
#include "rewards/rules/math_reward.h"
#include "system/ascii.h"
#include "tools/clock.h"

namespace zeroth {
namespace {

constexpr std::int64_t kMaxRounding = 100;
constexpr double kMaxHostileMicros = 10'000;  // of a case that is meant to hang

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

bool flag(const JsonReader& row, std::string_view key) {
  return row.has("options") && row.child("options").get_bool(key, false);
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
  return found->text;
}

// Where the answer of a text is looked for: everywhere, unless the row's options want a place.
ExtractionConfig rules_of(const JsonReader& row, const std::string& kind) {
  const std::string prefix = option(row, "answer_prefix");
  if (!prefix.empty()) return parse_extraction("after=" + prefix);
  if (kind == "completion") return {};
  if (!option(row, "answer_tag").empty()) return parse_extraction("tag");
  if (flag(row, "require_boxed")) return parse_extraction("boxed");
  if (flag(row, "require_answer_marker")) return parse_extraction("tag,boxed,hashes,phrase");
  ExtractionConfig config = parse_extraction("tag,boxed,hashes,whole,phrase,formula");
  if (row.has("options") && row.child("options").has("extract")) {
    config.formulas = {.marked = false, .plain = false};
    for (const JsonReader& kind_of_formula : row.child("options").child("extract").elements()) {
      if (kind_of_formula.as_string() == "latex") config.formulas.marked = true;
      if (kind_of_formula.as_string() == "expr") config.formulas.plain = true;
    }
  }
  return config;
}

Sides sides_of(const JsonReader& row, const std::string& kind) {
  Sides sides{.gold = text_at(row, "gold"), .pred = text_at(row, "pred"), .found_by = ""};
  if (kind == "answer-vs-answer") return sides;
  const ExtractionConfig config = rules_of(row, kind);
  sides.pred = extracted(sides.pred, config, sides.found_by);
  std::string ignored;
  if (kind == "text-vs-text") {
    sides.gold = extracted(sides.gold, config, ignored);
  } else if (sides.gold) {
    sides.gold = reference_answer(*sides.gold);
  }
  return sides;
}

// What the row's options ask of a comparison. math-verify's defaults, which rows spell out, ask
// nothing.
AnswerPolicy policy_of(const JsonReader& row, const std::string& kind) {
  constexpr std::int64_t kDefaultRounding = 6;
  AnswerPolicy policy;
  policy.evaluated = kind == "completion";
  policy.equality.decimal_comma = kind.starts_with("text");
  if (!row.has("options")) return policy;
  const JsonReader options = row.child("options");
  policy.equality.ordered_lists = options.get_bool("order_matters", false);
  policy.equality.any_names = !options.get_bool("strict", true);
  policy.equality.relation_for_set = options.get_bool("allow_set_relation_comp", true);
  const std::int64_t rounding = options.get_int64("float_rounding", kDefaultRounding);
  if (rounding < 1 || rounding > kMaxRounding) options.fail("float_rounding", "1 to 100");
  if (rounding != kDefaultRounding) policy.equality.decimals = static_cast<int>(rounding);
  return policy;
}

void compare(const Sides& sides, const AnswerPolicy& policy, CaseResult& result) {
  if (!sides.gold || !sides.pred) {
    result.got = false;
    result.why = sides.gold ? "no answer" : "no reference";
    return;
  }
  const AnswerVerdict verdict = judge_answer(*sides.pred, *sides.gold, policy);
  result.got = verdict.equal;
  result.why = (sides.found_by.empty() ? "" : sides.found_by + ": ") + std::string(verdict.why);
}

CaseResult grade_verdict(const JsonReader& row, const std::string& kind) {
  CaseResult result{.mode = kind, .is_verdict = true};
  const AnswerPolicy policy = policy_of(row, kind);
  Sides sides;
  result.micros = micros_of([&] {
    sides = sides_of(row, kind);
    compare(sides, policy, result);
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

// "StringExtractionConfig(strings=('A', 'B'), lowercase=False)": what its quotes hold, and flags.
struct LetterConfig {
  std::vector<std::string> choices = {"A", "B", "C", "D"};
  bool lowercase = true;
};

LetterConfig parse_letter_config(std::string_view text) {
  LetterConfig config;
  config.lowercase = text.find("lowercase=False") == std::string_view::npos;
  if (text.find("strings=") == std::string_view::npos) return config;
  config.choices.clear();
  for (std::size_t open = text.find_first_of("'\""); open < text.size();) {
    const std::size_t close = text.find(text[open], open + 1);
    if (close == std::string_view::npos) break;
    config.choices.emplace_back(text.substr(open + 1, close - open - 1));
    open = text.find_first_of("'\"", close + 1);
  }
  return config;
}

std::string lower(std::string_view text) {
  std::string result;
  for (const char c : text) result += to_lower(c);
  return result;
}

// What comes out is the choice twice: as it is compared, and as it stands.
CaseResult grade_letter(const JsonReader& row, const std::string& kind) {
  CaseResult result{.mode = kind};
  const LetterConfig config = parse_letter_config(row.get_string("config", ""));
  ExtractionConfig rules = parse_extraction("choice");
  rules.choices = config.choices;
  const std::string text = row.get_string("text");
  std::optional<Extraction> found;
  result.micros = micros_of([&] { found = extract_answer(text, rules); });
  result.why = found ? "choice" : "no choice stands alone";
  boost::json::array got;
  if (found) got = {config.lowercase ? lower(found->text) : found->text, found->text};
  result.got = std::move(got);
  if (!row.contains("expected_out")) row.fail("expected_out", "a list");
  result.expected = row.child("expected_out").value();
  result.ok = result.got == result.expected;
  return result;
}

// The number that LaTeX stands for. Where none is given, what it parses to has none.
CaseResult grade_parse(const JsonReader& row, const std::string& kind) {
  CaseResult result{.mode = kind};
  const std::string latex = row.get_string("latex");
  std::vector<std::pair<std::string, std::string>> given;
  if (row.has("subs")) {
    for (const std::string& symbol : row.child("subs").keys()) {
      given.emplace_back(symbol, *text_at(row.child("subs"), symbol));
    }
  }
  std::vector<math::SymbolValue> values;
  for (const auto& [symbol, value] : given) values.push_back({.symbol = symbol, .value = value});
  const std::optional<std::string> expected = text_at(row, "value");
  math::ValueComparison comparison;
  result.micros =
      micros_of([&] { comparison = math::compare_value(latex, values, expected.value_or("")); });
  if (!comparison.got.empty()) result.got = comparison.got;
  result.why = comparison.why.empty() ? "same value" : comparison.why;
  if (expected) {
    result.expected = *expected;
    result.ok = comparison.equal;
  }
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
         kind == "extract-letter" || kind == "latex2sympy_parse" || kind == "pathological";
}

CaseResult grade_math_case(const JsonReader& row, const std::string& kind) {
  if (kind == "pathological") return grade_pathological(row, kind);
  if (kind == "extract-letter") return grade_letter(row, kind);
  if (kind == "latex2sympy_parse") return grade_parse(row, kind);
  if (kind.starts_with("extract-")) return grade_extraction(row, kind);
  return grade_verdict(row, kind);
}

}  // namespace zeroth
