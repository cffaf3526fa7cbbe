#include "tools/score_rows.h"

#include <algorithm>
#include <string_view>

#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/lines.h"

namespace zeroth {
namespace {

FinishReason read_finish_reason(const JsonReader& row) {
  const std::string reason = row.get_string("finish_reason", "stop");
  if (reason == "stop") return FinishReason::stop;
  if (reason == "length") return FinishReason::length;
  row.fail("finish_reason", "stop or length");
}

std::string read_text(const JsonReader& row, std::string_view key) {
  if (!row.has(key) || !row.child(key).value().is_array()) return row.get_string(key);
  std::string text;
  for (const JsonReader& message : row.child(key).elements())
    text += (text.empty() ? "" : "\n") + message.get_string("content");
  return text;
}

std::optional<RewardOutcome> read_expected(const JsonReader& row) {
  if (!row.contains("score")) return std::nullopt;
  if (!row.has("score")) return RewardOutcome{.result = RewardResult::not_applicable};
  return outcome_of_score(row.get_double("score"));
}

ScoreRow read_row(std::string_view line, const std::string& source) {
  const JsonReader row = JsonReader::parse(line, source);
  return {.prompt = row.has("prompt") ? read_text(row, "prompt") : "",
          .completion = read_text(row, "completion"),
          .reference = row.get_string(row.has("answer") ? "answer" : "reference"),
          .columns_json =
              row.has("columns") ? write_json(row.child("columns").value()) : std::string(line),
          .num_tokens = row.get_int64("num_tokens", 0),
          .max_tokens = row.get_int64("max_tokens", 0),
          .finish_reason = read_finish_reason(row),
          .expected = read_expected(row)};
}

}  // namespace

RewardItem ScoreRow::item() const {
  return {.prompt = prompt,
          .completion = completion,
          .reference = reference,
          .columns_json = columns_json,
          .num_tokens = num_tokens,
          .max_tokens = max_tokens,
          .finish_reason = finish_reason};
}

std::vector<ScoreRow> read_score_rows(const std::string& file) {
  const std::string text = read_file(file);
  std::vector<ScoreRow> rows;
  for (const TextLine& line : lines_of(text)) {
    if (line.is_blank()) continue;
    rows.push_back(read_row(line.text, file + ":" + std::to_string(line.number)));
    rows.back().line = line.number;
  }
  if (rows.empty())
    throw InputError({.source = file,
                      .field = "",
                      .expected = "a line {\"prompt\", \"completion\", \"reference\"} at least",
                      .actual = "none"});
  return rows;
}

}  // namespace zeroth
