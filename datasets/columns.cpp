#include "datasets/columns.h"

#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "system/error.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr std::string_view kHashes = "####";

struct Preset {
  std::string name;
  ColumnMap columns;
};

std::vector<Preset> presets() {
  return {
      {"gsm8k",
       {.question = "question",
        .answer = "answer",
        .solution = "answer",
        .id = "",
        .reference_rule = ReferenceRule::after_hashes,
        .solution_rule = SolutionRule::think_answer}},
      {"math", {.question = "problem", .answer = "answer", .solution = "solution", .id = ""}},
      {"plain",
       {.question = "question",
        .answer = "answer",
        .solution = "solution",
        .id = "",
        .solution_required = false}},
  };
}

[[noreturn]] void fail_unknown(std::string_view what, std::string_view name,
                               const std::vector<std::string>& known) {
  std::string expected(what);
  for (std::size_t i = 0; i < known.size(); ++i) expected += (i == 0 ? " " : ", ") + known[i];
  expected += "; nearest is " + nearest_name(name, known);
  throw InputError(
      {.source = "columns", .field = "", .expected = expected, .actual = std::string(name)});
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

ReferenceRule parse_reference_rule(std::string_view text) {
  if (text == "whole") return ReferenceRule::whole;
  if (text == "after_hashes") return ReferenceRule::after_hashes;
  fail_unknown("one of the reference rules", text, {"whole", "after_hashes"});
}

void set_column(ColumnMap& columns, std::string_view key, std::string_view value) {
  if (key == "question") {
    columns.question = value;
  } else if (key == "answer") {
    columns.answer = value;
  } else if (key == "solution") {
    columns.solution = value;
  } else if (key == "id") {
    columns.id = value;
  } else if (key == "reference") {
    columns.reference_rule = parse_reference_rule(value);
  } else {
    fail_unknown("one of the keys", key, {"question", "answer", "solution", "id", "reference"});
  }
}

ColumnMap parse_custom(std::string_view text) {
  ColumnMap columns;
  std::set<std::string, std::less<>> seen;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view pair = text.substr(begin, end - begin);
    const std::size_t equals = pair.find('=');
    const std::string_view key = trimmed(pair.substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? "" : trimmed(pair.substr(equals + 1));
    if (value.empty() || !seen.emplace(key).second) {
      throw InputError({.source = "columns",
                        .field = std::string(key),
                        .expected = "key=column, each key once",
                        .actual = std::string(pair)});
    }
    set_column(columns, key, value);
    begin = end + 1;
  }
  if (columns.question.empty() || columns.answer.empty()) {
    throw InputError({.source = "columns",
                      .field = columns.question.empty() ? "question" : "answer",
                      .expected = "question=… and answer=…",
                      .actual = std::string(text)});
  }
  return columns;
}

std::string_view type_name(const json::value& value) {
  return value.is_number() ? "number" : json::to_string(value.kind());
}

[[noreturn]] void fail_missing(const json::object& record, const std::string& column,
                               const std::string& source) {
  std::vector<std::string> names;
  for (const auto& member : record) names.emplace_back(member.key());
  const std::string nearest = nearest_name(column, names);
  throw InputError({.source = source,
                    .field = column,
                    .expected = "a column of this name",
                    .actual = nearest.empty() ? "a record without columns"
                              : nearest == column
                                  ? "null"
                                  : "a record without it (nearest is " + nearest + ")"});
}

const json::value* find_column(const json::object& record, const std::string& column) {
  const json::value* value = record.if_contains(column);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string text_column(const json::object& record, const std::string& column,
                        const std::string& source) {
  const json::value* value = find_column(record, column);
  if (value == nullptr) fail_missing(record, column, source);
  if (value->is_string()) return std::string(value->get_string());
  throw InputError({.source = source,
                    .field = column,
                    .expected = "a string",
                    .actual = std::string(type_name(*value))});
}

std::string text_or_number_column(const json::object& record, const std::string& column,
                                  const std::string& source) {
  const json::value* value = find_column(record, column);
  if (value == nullptr) fail_missing(record, column, source);
  if (value->is_int64()) return std::to_string(value->get_int64());
  if (value->is_uint64()) return std::to_string(value->get_uint64());
  if (value->is_double()) {
    constexpr double kExactIntegers = 9007199254740992.0;  // 2^53: beyond it digits were lost
    if (std::abs(value->get_double()) >= kExactIntegers) {
      throw InputError({.source = source,
                        .field = column,
                        .expected = "a string for a number of this size",
                        .actual = json::serialize(*value)});
    }
    std::array<char, 32> buffer;  // the shortest digits that give the same double need at most 24
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value->get_double()).ptr;
    return std::string(buffer.data(), end);
  }
  if (value->is_string()) return std::string(value->get_string());
  throw InputError({.source = source,
                    .field = column,
                    .expected = "a string or a number",
                    .actual = std::string(type_name(*value))});
}

std::string without_commas(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ',') result.push_back(c);
  }
  return result;
}

std::string reference_of(const std::string& text, const ColumnMap& columns,
                         const std::string& source) {
  if (columns.reference_rule == ReferenceRule::whole) return std::string(trimmed(text));
  const std::size_t hashes = text.rfind(kHashes);
  if (hashes == std::string::npos) {
    throw InputError({.source = source,
                      .field = columns.answer,
                      .expected = "a text with \"####\" before its answer",
                      .actual = "none"});
  }
  return without_commas(trimmed(std::string_view(text).substr(hashes + kHashes.size())));
}

std::string solution_of(const std::string& text, const ColumnMap& columns,
                        const std::string& reference) {
  if (columns.solution_rule == SolutionRule::verbatim) return text;
  const std::string_view work = std::string_view(text).substr(0, text.rfind(kHashes));
  return "<think>" + std::string(trimmed(without_calculator_annotations(work))) +
         "</think> <answer>" + reference + "</answer>";
}

std::string other_columns(const json::object& record, const ColumnMap& columns) {
  json::object others;
  for (const auto& member : record) {
    const std::string_view key = member.key();
    const bool used = key == columns.question || key == columns.answer || key == columns.solution ||
                      key == columns.id;
    if (!used) others.emplace(member.key(), member.value());
  }
  return json::serialize(others);
}

void require_text(const std::string& text, const std::string& column, const std::string& source) {
  if (!trimmed(text).empty()) return;
  throw InputError(
      {.source = source, .field = column, .expected = "a text", .actual = "an empty one"});
}

}  // namespace

ColumnMap parse_columns(std::string_view text) {
  if (text.find('=') != std::string_view::npos) return parse_custom(text);
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    if (preset.name == text) return preset.columns;
    names.push_back(preset.name);
  }
  fail_unknown("question=…,answer=… or one of the presets", text, names);
}

Problem problem_from_record(const json::object& record, const ColumnMap& columns,
                            const std::string& source) {
  Problem problem;
  if (!columns.id.empty()) problem.id = text_or_number_column(record, columns.id, source);
  problem.question = text_column(record, columns.question, source);
  require_text(problem.question, columns.question, source);
  problem.answer =
      reference_of(text_or_number_column(record, columns.answer, source), columns, source);
  require_text(problem.answer, columns.answer, source);
  const bool has_solution =
      !columns.solution.empty() &&
      (columns.solution_required || find_column(record, columns.solution) != nullptr);
  if (has_solution) {
    const std::string text = text_column(record, columns.solution, source);
    problem.solution = solution_of(text, columns, problem.answer);
  }
  problem.columns_json = other_columns(record, columns);
  return problem;
}

std::string without_calculator_annotations(std::string_view text) {
  std::string result;
  for (;;) {
    const std::size_t open = text.find("<<");
    const std::size_t close = open == std::string_view::npos ? open : text.find(">>", open + 2);
    if (close == std::string_view::npos) break;
    result += text.substr(0, open);
    text.remove_prefix(close + 2);
  }
  result += text;
  return result;
}

}  // namespace zeroth
