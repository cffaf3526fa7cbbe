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
      {"trl",
       {.question = "prompt",
        .answer = "answer",
        .solution = "completion",
        .id = "",
        .solution_required = false,
        .answer_required = false}},
      {"messages",
       {.question = "messages",
        .answer = "answer",
        .solution = "",
        .id = "",
        .solution_required = false,
        .answer_required = false}},
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
  if (columns.solution_rule == SolutionRule::verbatim || text.empty()) return text;
  const std::string_view work = std::string_view(text).substr(0, text.rfind(kHashes));
  return "<think>" + std::string(trimmed(without_calculator_annotations(work))) +
         "</think> <answer>" + reference + "</answer>";
}

// What an assistant says in a message that says nothing else.
std::string assistant_text(const json::value& message, const std::string& field,
                           const std::string& source) {
  const json::object* object = message.if_object();
  const auto refuse = [&](const std::string& where, const std::string& expected,
                          const json::value& actual) {
    throw InputError({.source = source,
                      .field = where,
                      .expected = expected,
                      .actual = actual.is_string() ? std::string(actual.get_string())
                                                   : std::string(type_name(actual))});
  };
  if (object == nullptr) refuse(field, "a message", message);
  const json::value* content = find_column(*object, "content");
  if (content == nullptr || !content->is_string())
    refuse(field + ".content", "a string", content == nullptr ? json::value() : *content);
  for (const auto& member : *object) {
    const bool plain = member.key() == "role" || member.key() == "content";
    if (!plain && !member.value().is_null())
      refuse(field + "." + std::string(member.key()),
             "nothing beside role and content, as what is learned is one text", member.value());
  }
  return std::string(content->get_string());
}

bool is_of_assistant(const json::value& message) {
  const json::value* role = message.get_object().if_contains("role");
  return role != nullptr && role->is_string() && role->get_string() == "assistant";
}

// The messages of a column, each an object with a role.
json::array conversation_of(const json::array& column, const std::string& name,
                            const std::string& source) {
  for (std::size_t i = 0; i < column.size(); ++i) {
    const json::object* message = column[i].if_object();
    const json::value* role = message == nullptr ? nullptr : find_column(*message, "role");
    if (role == nullptr || !role->is_string())
      throw InputError({.source = source,
                        .field = name + "[" + std::to_string(i) + "]",
                        .expected = "an object with a role",
                        .actual = message == nullptr ? std::string(type_name(column[i]))
                                                     : "an object without one"});
  }
  return column;
}

void read_question(Problem& problem, const json::object& record, const ColumnMap& columns,
                   const std::string& source) {
  const json::value* value = find_column(record, columns.question);
  if (value == nullptr || !value->is_array()) {
    problem.question = text_column(record, columns.question, source);
    return;
  }
  json::array messages = conversation_of(value->get_array(), columns.question, source);
  if (messages.size() > 1 && is_of_assistant(messages.back())) {
    const std::string place = columns.question + "[" + std::to_string(messages.size() - 1) + "]";
    problem.solution = assistant_text(messages.back(), place, source);
    messages.pop_back();
  }
  if (!messages.empty()) problem.question = json::serialize(messages);
  problem.is_conversation = true;
}

void read_solution(Problem& problem, const json::object& record, const ColumnMap& columns,
                   const std::string& source) {
  if (columns.solution.empty()) return;
  const json::value* value = find_column(record, columns.solution);
  if (value == nullptr && !columns.solution_required) return;
  if (value == nullptr || !value->is_array()) {
    problem.solution = text_column(record, columns.solution, source);
    return;
  }
  const json::array& messages = value->get_array();
  if (messages.size() != 1)
    throw InputError({.source = source,
                      .field = columns.solution,
                      .expected = "a string or one message",
                      .actual = std::to_string(messages.size()) + " messages"});
  problem.solution = assistant_text(messages[0], columns.solution + "[0]", source);
}

void read_answer(Problem& problem, const json::object& record, const ColumnMap& columns,
                 const std::string& source) {
  const bool is_solution = !columns.answer_required && !problem.solution.empty() &&
                           find_column(record, columns.answer) == nullptr;
  problem.answer = reference_of(
      is_solution ? problem.solution : text_or_number_column(record, columns.answer, source),
      columns, source);
}

std::string other_columns(const json::object& record, const ColumnMap& columns) {
  json::object others;
  for (const auto& member : record) {
    const std::string_view key = member.key();
    const bool is_conversation = key == columns.question && member.value().is_array();
    const bool used = !is_conversation && (key == columns.question || key == columns.answer ||
                                           key == columns.solution || key == columns.id);
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
  read_question(problem, record, columns, source);
  require_text(problem.question, columns.question, source);
  read_solution(problem, record, columns, source);
  read_answer(problem, record, columns, source);
  require_text(problem.answer, columns.answer, source);
  problem.solution = solution_of(problem.solution, columns, problem.answer);
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
