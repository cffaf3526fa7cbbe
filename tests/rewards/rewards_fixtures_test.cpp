// Agreement with graders' own cases, where a fixture folder is given. Rows whose definition differs
// from ours are skipped by the rules stated at each test, not by name.
#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/answers/exact_number.h"
#include "rewards/registry.h"
#include "rewards/rules/format_reward.h"
#include "rewards/rules/math_reward.h"

namespace zeroth {
namespace {

namespace json = boost::json;

// The rows of every JSONL file in a folder of $ZEROTH_FIXTURES, in the order of their names; none,
// with a warning, where there are none.
std::vector<json::object> rows_of(const char* folder) {
  const char* root = std::getenv("ZEROTH_FIXTURES");
  const std::filesystem::path path = std::filesystem::path(root == nullptr ? "" : root) / folder;
  std::vector<std::filesystem::path> files;
  if (root != nullptr && std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<json::object> rows;
  for (const auto& file : files) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) rows.push_back(json::parse(line).as_object());
  }
  if (rows.empty()) WARN("skipped: ZEROTH_FIXTURES has no " << folder);
  return rows;
}

// The text at `key`, "" where the row has none.
std::string text_of(const json::object& row, const char* key) {
  const json::value* value = row.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::string answer_prefix(const json::object& row) {
  const json::value* options = row.if_contains("options");
  return options != nullptr && options->is_object()
             ? text_of(options->get_object(), "answer_prefix")
             : "";
}

// Completions whose answer follows a stated prefix: OpenAI's labelled solutions of GSM8K.
TEST_CASE("fixtures: labelled completions with an answer after a prefix", "[rewards][fixtures]") {
  std::size_t agreed = 0, labelled = 0;
  for (const json::object& row : rows_of("math")) {
    const std::string prefix = answer_prefix(row);
    const json::value* expected = row.if_contains("expected");
    if (prefix.empty() || expected == nullptr || !expected->is_bool()) continue;
    const auto reward =
        make_reward("accuracy", {.extraction = parse_extraction("after=" + prefix)});
    const std::string completion = text_of(row, "pred"), reference = text_of(row, "gold");
    const RewardItem item{.completion = completion, .reference = reference};
    const bool right = reward->score({&item, 1}).at(0) == 1.0;
    ++labelled;
    agreed += right == expected->get_bool() ? 1 : 0;
    if (right != expected->get_bool()) UNSCOPED_INFO("differs: " << text_of(row, "id"));
  }
  if (labelled > 0) WARN("labelled completions: " << agreed << " of " << labelled << " agree");
  CHECK(agreed == labelled);
}

// Pairs of answers, and completions whose answer is boxed. Where graders disagree the row says so,
// and is not asked.
TEST_CASE("fixtures: answers that graders call the same and not", "[rewards][fixtures]") {
  std::size_t agreed = 0, labelled = 0, wrongly_equal = 0;
  for (const json::object& row : rows_of("math")) {
    const std::string mode = text_of(row, "mode");
    const std::string reference = text_of(row, "gold"), pred = text_of(row, "pred");
    const json::value* expected = row.if_contains("expected");
    if (expected == nullptr || !expected->is_bool()) continue;
    if (row.contains("disputed") || row.contains("policy_note")) continue;
    const std::optional<std::string_view> box = last_boxed(pred);
    const bool is_pair = mode == "answer-vs-answer";
    if (!is_pair && !(mode == "completion" && box && answer_prefix(row).empty())) continue;
    const bool right = answers_equal(is_pair ? pred : *box, reference);
    ++labelled;
    agreed += right == expected->get_bool() ? 1 : 0;
    wrongly_equal += right && !expected->get_bool() ? 1 : 0;
    if (right != expected->get_bool()) {
      UNSCOPED_INFO(text_of(row, "id") << ": " << pred.substr(0, 60) << " and " << reference
                                       << (right ? " are equal" : " are not equal"));
    }
  }
  if (labelled == 0) return;
  WARN("answers: " << agreed << " of " << labelled << " agree, " << wrongly_equal
                   << " wrongly equal");
  CHECK(static_cast<double>(agreed) >= 0.99 * static_cast<double>(labelled));
  CHECK(static_cast<double>(wrongly_equal) <= 0.003 * static_cast<double>(labelled));
}

TEST_CASE("fixtures: boxed answers", "[rewards][fixtures]") {
  std::size_t agreed = 0, known = 0;
  for (const json::object& row : rows_of("math")) {
    const std::string mode = text_of(row, "mode"), text = text_of(row, "text");
    std::optional<std::string_view> box = last_boxed(text);
    const bool is_last = mode == "extract-last-boxed";
    if (!is_last && !(mode == "extract-final" && box)) continue;
    if (!is_last) box = trimmed(*box);
    const json::value& expected = row.at("expected_out");
    const bool agrees = expected.is_null() ? !box.has_value()
                                           : box && *box == std::string_view(expected.as_string());
    ++known;
    agreed += agrees ? 1 : 0;
    if (!agrees) UNSCOPED_INFO("differs: " << text_of(row, "id"));
  }
  if (known > 0) WARN("boxed answers: " << agreed << " of " << known << " agree");
  CHECK(agreed == known);
}

TEST_CASE("fixtures: letters of choices", "[rewards][fixtures]") {
  std::size_t agreed = 0, known = 0;
  for (const json::object& row : rows_of("math")) {
    if (text_of(row, "mode") != "extract-letter") continue;
    const std::string text = text_of(row, "text");
    const auto letter = extract_answer(text, parse_extraction("choice"));
    const json::array& expected = row.at("expected_out").as_array();  // in both cases, or none
    const bool agrees = expected.empty()
                            ? !letter
                            : letter && letter->text == std::string_view(expected[1].as_string());
    ++known;
    agreed += agrees ? 1 : 0;
    if (!agrees) UNSCOPED_INFO("differs: " << text_of(row, "id"));
  }
  if (known > 0) WARN("letters: " << agreed << " of " << known << " agree");
  CHECK(agreed == known);
}

// Both the boxed answer and the reference are numbers, so nothing symbolic is asked.
bool asks_for_numbers(const std::string& completion, const std::string& reference) {
  const auto box = last_boxed(completion);
  return box && parse_exact_number(*box) && parse_exact_number(reference);
}

// The recorded functions take chat messages: args[0] is a list of conversations of one message.
std::vector<std::string> contents_of(const json::object& row) {
  std::vector<std::string> contents;
  for (const json::value& conversation : row.at("args").as_array().at(0).as_array()) {
    contents.emplace_back(conversation.as_array().at(0).as_object().at("content").as_string());
  }
  return contents;
}

TEST_CASE("fixtures: recorded accuracy rewards on boxed numbers", "[rewards][fixtures]") {
  std::size_t compared = 0;
  for (const json::object& row : rows_of("rewards")) {
    if (text_of(row, "function") != "accuracy_reward" || row.at("args").as_array().size() < 2) {
      continue;
    }
    const std::vector<std::string> contents = contents_of(row);
    const json::array& references = row.at("args").as_array().at(1).as_array();
    const json::array& expected = row.at("output").as_array();
    for (std::size_t i = 0; i < contents.size(); ++i) {
      const std::string reference(references.at(i).as_string());
      if (!expected.at(i).is_number() || !asks_for_numbers(contents[i], reference)) continue;
      const RewardItem item{.completion = contents[i], .reference = reference};
      INFO(text_of(row, "id"));
      CHECK(make_accuracy_reward()->score({&item, 1}).at(0) == expected.at(i).to_number<double>());
      ++compared;
    }
  }
  if (compared > 0) WARN("accuracy rewards: " << compared << " compared");
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// open-r1 wants a line break beside every tag and looks for no second tag of a kind: the rewards
// agree on texts with these line breaks around tags that occur at most once and in order.
bool has_open_r1_line_breaks(const std::string& text) {
  const std::pair<const char*, const char*> tags[] = {{"<think>", "<think>\n"},
                                                      {"</think>", "\n</think>\n"},
                                                      {"<answer>", "\n<answer>\n"},
                                                      {"</answer>", "\n</answer>"}};
  std::size_t end = 0;
  for (const auto& [tag, with_line_breaks] : tags) {
    const std::size_t position = text.find(tag);
    if (position == std::string::npos) continue;
    if (position < end || text.rfind(tag) != position || !holds(text, with_line_breaks))
      return false;
    end = position;
  }
  return true;
}

TEST_CASE("fixtures: open-r1's format rewards on texts with its line breaks",
          "[rewards][fixtures]") {
  std::size_t compared = 0;
  for (const json::object& row : rows_of("rewards")) {
    const std::string function = text_of(row, "function");
    const bool whole = function == "format_reward" && row.contains("args");
    if (!whole && function != "tag_count_reward") continue;
    const std::vector<std::string> contents = contents_of(row);
    for (std::size_t i = 0; i < contents.size(); ++i) {
      if (!has_open_r1_line_breaks(contents[i])) continue;
      INFO(text_of(row, "id"));
      const double ours =
          whole ? (follows_format(contents[i]) ? 1.0 : 0.0) : format_parts(contents[i]);
      CHECK(ours == row.at("output").as_array().at(i).to_number<double>());
      ++compared;
    }
  }
  if (compared > 0) WARN("format rewards: " << compared << " compared");
}

}  // namespace
}  // namespace zeroth
