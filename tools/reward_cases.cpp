#include "tools/reward_cases.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "rewards/registry.h"
#include "system/error.h"
#include "tools/clock.h"

namespace zeroth {
namespace {

constexpr std::string_view kKindPrefix = "reward call: ";
constexpr double kTolerance = 1e-9;

// A function of theirs and the reward of ours.
struct Rule {
  std::string_view function;
  std::string_view reward;
  std::string_view takes;              // "response": one text; "tokens"; "texts"
  std::string_view positional;         // the names of its first arguments
  std::string_view parameters;         // JSON: what the rule is fixed to; theirs come on top
  std::string_view keys;               // arguments of the call that are parameters of ours
  std::optional<double> skipped = {};  // what it gives where it does not apply; else null
};

constexpr std::string_view kCompletions = "completions solution";
constexpr std::string_view kSkip = R"({"unreadable_reference":"skip"})";

// A function that stands twice is told apart by what it takes.
constexpr Rule kRules[] = {
    {"accuracy_reward", "accuracy", "texts", kCompletions, kSkip, ""},
    {"reasoning_accuracy_reward", "reasoning_accuracy", "texts",
     "completions solution reasoning_delimiters", kSkip, "reasoning_delimiters"},
    {"think_format_reward", "think_format", "texts", kCompletions, "{}", ""},
    {"format_reward", "format_lines", "texts", kCompletions, "{}", ""},
    {"format_reward", "tag_pairs", "response", "ground_truth response think_tag answer_tag", "{}",
     "think_tag answer_tag"},
    {"exact_answer_alphanumeric_reward", "exact_answer", "response",
     "ground_truth response answer_tag", "{}", "answer_tag"},
    {"math_expression_reward", "math_expression", "response", "ground_truth response tag", "{}",
     "tag"},
    {"tag_count_reward", "tag_count", "texts", kCompletions, "{}", ""},
    {"reasoning_steps_reward", "reasoning_steps", "texts", kCompletions, "{}", ""},
    {"len_reward", "length", "texts", kCompletions,
     R"({"unit":"characters","unreadable_reference":"skip"})", ""},
    {"get_code_format_reward", "code_format", "texts", kCompletions, "{}", ""},
    {"get_soft_overlong_punishment", "soft_overlong", "tokens", "completion_ids", "{}", ""},
    {"get_repetition_penalty_reward", "repetition_penalty", "tokens", "completion_ids", "{}", ""},
    {"get_repetition_penalty_reward", "repetition_penalty", "texts", kCompletions,
     R"({"unit":"words"})", ""},
    {"get_cosine_scaled_reward", "cosine_length", "tokens", "completions solution completion_ids",
     R"({"max_len":1000,"unreadable_reference":"skip"})", ""},
    {"get_cosine_scaled_reward", "cosine_length", "texts", kCompletions,
     R"({"max_len":1000,"unreadable_reference":"skip","unit":"characters","clamp":false})", "",
     1.0},
};

// The arguments of a call by name; those in "args" are named by the rule.
using Arguments = std::vector<std::pair<std::string, JsonReader>>;

const JsonReader* find(const Arguments& arguments, std::string_view name) {
  for (const auto& [key, value] : arguments) {
    if (key == name && !value.value().is_null()) return &value;
  }
  return nullptr;
}

std::vector<std::string_view> words_of(std::string_view words) {
  std::vector<std::string_view> list;
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    list.push_back(words.substr(begin, end - begin));
    begin = end + 1;
  }
  return list;
}

Arguments arguments_of(const JsonReader& row, const Rule& rule) {
  Arguments arguments;
  if (row.has("kwargs")) {
    const JsonReader named = row.child("kwargs");
    for (const std::string& key : named.keys()) arguments.emplace_back(key, named.child(key));
  }
  if (!row.has("args")) return arguments;
  const std::vector<std::string_view> names = words_of(rule.positional);
  const std::vector<JsonReader> values = row.child("args").elements();
  for (std::size_t i = 0; i < values.size() && i < names.size(); ++i)
    arguments.emplace_back(names[i], values[i]);
  return arguments;
}

bool is_tokens(const boost::json::value& value) {
  if (!value.is_array()) return false;
  const boost::json::array& lists = value.get_array();
  return !lists.empty() && lists[0].is_array() &&
         (lists[0].get_array().empty() || lists[0].get_array()[0].is_int64());
}

// What a call is made with.
std::string_view taken_by(const JsonReader& row) {
  if (row.has("kwargs")) {
    const JsonReader named = row.child("kwargs");
    if (named.has("response")) return "response";
    if (named.has("completion_ids")) return "tokens";
  }
  if (!row.has("args")) return "";
  const std::vector<JsonReader> values = row.child("args").elements();
  if (!values.empty() && values[0].value().is_string()) return "response";
  const bool tokens = std::any_of(values.begin(), values.end(),
                                  [](const JsonReader& value) { return is_tokens(value.value()); });
  return tokens ? "tokens" : "texts";
}

// The rule of a row; of a call that is not made, as the arguments that make it raise, any of its
// name. TRL gives tokens to functions that only look at texts.
const Rule* find_rule(std::string_view function, std::string_view takes) {
  const Rule* by_name = nullptr;
  for (const Rule& rule : kRules) {
    if (rule.function != function) continue;
    if (rule.takes == takes) return &rule;
    if (by_name == nullptr) by_name = &rule;
  }
  return by_name;
}

std::string parameters_of(const JsonReader& row, const Rule& rule, const Arguments& arguments) {
  boost::json::object parameters = boost::json::parse(std::string(rule.parameters)).as_object();
  if (row.has("factory_kwargs")) {
    const JsonReader made_with = row.child("factory_kwargs");
    for (const std::string& key : made_with.keys()) {
      // Which language it is, is part of the kind.
      if (rule.reward == "repetition_penalty" && key == "language") continue;
      const JsonReader value = made_with.child(key);
      if (value.value().is_double()) value.as_double();  // finite, so that it can be written
      parameters[key] = value.value();
    }
  }
  for (const std::string_view key : words_of(rule.keys)) {
    if (const JsonReader* value = find(arguments, key))
      parameters[key == "tag" ? "answer_tag" : key] = value->value();
  }
  return write_json(parameters);
}

// What items look at.
struct Call {
  std::vector<std::string> completions;
  std::vector<std::string> references;
  std::vector<std::vector<std::int32_t>> ids;
};

// A text, or the first message of a conversation.
std::string text_of(const JsonReader& completion) {
  if (completion.value().is_string()) return completion.as_string();
  const std::vector<JsonReader> messages = completion.elements();
  if (messages.empty()) completion.fail("a text or messages");
  return messages[0].get_string("content", "");
}

std::vector<std::int32_t> tokens_of(const JsonReader& list) {
  std::vector<std::int32_t> ids;
  for (const JsonReader& id : list.elements())
    ids.push_back(static_cast<std::int32_t>(id.as_int64()));
  return ids;
}

Call call_of(const Arguments& arguments, std::string_view takes, const JsonReader& row) {
  Call call;
  if (const JsonReader* response = find(arguments, "response")) {
    call.completions.push_back(response->as_string());
    if (const JsonReader* reference = find(arguments, "ground_truth"))
      call.references.push_back(reference->as_string());
    return call;
  }
  if (const JsonReader* completions = find(arguments, "completions")) {
    for (const JsonReader& one : completions->elements()) call.completions.push_back(text_of(one));
  }
  if (const JsonReader* references = find(arguments, "solution")) {
    for (const JsonReader& one : references->elements()) call.references.push_back(one.as_string());
  }
  if (const JsonReader* ids = takes == "tokens" ? find(arguments, "completion_ids") : nullptr) {
    for (const JsonReader& one : ids->elements()) call.ids.push_back(tokens_of(one));
  }
  if (call.completions.empty() && call.ids.empty() && row.has("output"))
    row.fail("args", "completions");
  return call;
}

std::vector<RewardItem> items_of(const Call& call) {
  std::vector<RewardItem> items(std::max(call.completions.size(), call.ids.size()));
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i < call.completions.size()) items[i].completion = call.completions[i];
    if (i < call.references.size()) items[i].reference = call.references[i];
    if (i >= call.ids.size()) continue;
    items[i].completion_ids = call.ids[i];
    items[i].num_tokens = static_cast<std::int64_t>(call.ids[i].size());
    // An empty list is a count as well.
    if (call.ids[i].empty()) items[i].max_tokens = 1;
  }
  return items;
}

boost::json::value score_json(const RewardOutcome& outcome, const Rule& rule) {
  if (outcome.result == RewardResult::scored) return outcome.score;
  if (outcome.result != RewardResult::not_applicable)
    return boost::json::string(result_name(outcome.result));
  return rule.skipped ? boost::json::value(*rule.skipped) : boost::json::value();
}

// One score, or a list of them; null where the function has nothing to say.
boost::json::array scores_of(const JsonReader& output) {
  boost::json::array scores;
  const auto add = [&](const JsonReader& score) {
    if (score.value().is_null()) {
      scores.emplace_back(nullptr);
    } else {
      scores.emplace_back(score.as_double());
    }
  };
  if (output.value().is_array()) {
    for (const JsonReader& score : output.elements()) add(score);
  } else {
    add(output);
  }
  return scores;
}

bool agree(const boost::json::value& a, const boost::json::value& b) {
  if (a.is_number() && b.is_number())
    return std::abs(a.to_number<double>() - b.to_number<double>()) <= kTolerance;
  if (!a.is_array() || !b.is_array()) return a == b;
  const boost::json::array& x = a.get_array();
  const boost::json::array& y = b.get_array();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), agree);
}

std::string function_of(std::string_view kind) {
  kind.remove_prefix(kKindPrefix.size());
  return std::string(kind);
}

}  // namespace

std::string reward_case_kind(const JsonReader& row) {
  const std::string function = row.get_string("function");
  std::string kind = std::string(kKindPrefix) + function;
  if (function != "get_repetition_penalty_reward" || !row.has("factory_kwargs")) return kind;
  // Words of other languages are not between white space.
  const std::string language = row.child("factory_kwargs").get_string("language", "en");
  return language == "en" ? kind : kind + " (language " + language + ")";
}

bool grades_reward_case(std::string_view kind) {
  return kind.starts_with(kKindPrefix) && find_rule(function_of(kind), "") != nullptr;
}

CaseResult grade_reward_case(const JsonReader& row, const std::string& kind) {
  const std::string_view takes = taken_by(row);
  const Rule& rule = *find_rule(function_of(kind), takes);
  const Arguments arguments = arguments_of(row, rule);
  const std::string parameters = parameters_of(row, rule, arguments);
  const Call call = call_of(arguments, takes, row);
  const std::vector<RewardItem> items = items_of(call);
  CaseResult result{.mode = kind};
  result.why = std::string(rule.reward) + " with " + parameters;
  const double begin = monotonic_seconds();
  try {
    const auto reward = make_reward(
        rule.reward, {.extraction = parse_extraction("boxed,phrase"), .parameters = parameters});
    boost::json::array scores;
    for (const RewardOutcome& outcome : reward->judge(items, OnRewardError::exclude))
      scores.push_back(score_json(outcome, rule));
    result.got = std::move(scores);
  } catch (const InputError& error) {
    result.got = "refused";
    result.why = error.what();
  }
  result.micros = (monotonic_seconds() - begin) * 1e6;
  if (row.has("raises")) {
    result.expected = "refused";
  } else if (row.contains("output")) {
    result.expected = scores_of(row.child("output"));
  } else {
    return result;
  }
  result.ok = agree(result.got, result.expected);
  return result;
}

}  // namespace zeroth
