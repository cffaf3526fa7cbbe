#include "rewards/host/item_lines.h"

#include <boost/json.hpp>
#include <system_error>

#include "system/utf8.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostOfAMessage = 2000;  // bytes
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::string quoted(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = utf8_bytes(text);
    valid += size == 0 ? kReplacement : text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return json::serialize(json::string(valid));
}

// Line breaks of JSON stand between its parts.
std::string on_one_line(std::string_view columns_json) {
  std::string line(columns_json.empty() ? "{}" : columns_json);
  for (char& c : line)
    if (c == '\n' || c == '\r') c = ' ';
  return line;
}

HostReply garbled(std::size_t line, std::string_view text) {
  return {.result = RewardResult::garbled,
          .message =
              "line " + std::to_string(line + 1) + " is no {\"score\": …}: " + quoted_start(text)};
}

HostReply raised(std::string_view why) {
  return {.result = RewardResult::raised,
          .message = std::string(utf8_prefix(why, kMostOfAMessage))};
}

}  // namespace

std::string item_line(const RewardItem& item) {
  std::string line =
      "{\"completion\":" + quoted(item.completion) + ",\"reference\":" + quoted(item.reference) +
      ",\"prompt\":" + quoted(item.prompt) + ",\"columns\":" + on_one_line(item.columns_json) +
      ",\"num_tokens\":" + std::to_string(item.num_tokens) +
      ",\"max_tokens\":" + std::to_string(item.max_tokens) + ",\"finish_reason\":" +
      (item.finish_reason == FinishReason::length ? "\"length\"" : "\"stop\"") +
      ",\"completion_ids\":";
  if (item.completion_ids.empty()) return line + "null}\n";
  char separator = '[';
  for (const std::int32_t token : item.completion_ids) {
    line += separator + std::to_string(token);
    separator = ',';
  }
  return line + "]}\n";
}

HostReply read_answers(std::span<const std::string_view> lines) {
  HostReply reply;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::error_code error;
    const json::value value = json::parse(json::string_view(lines[i]), error);
    if (error || !value.is_object()) return garbled(i, lines[i]);
    const json::object& answer = value.get_object();
    if (const json::value* why = answer.if_contains("error"); why != nullptr && !why->is_null())
      return raised(why->is_string() ? std::string_view(why->get_string()) : lines[i]);
    const json::value* score = answer.if_contains("score");
    if (score == nullptr) return garbled(i, lines[i]);
    if (score->is_null())
      reply.outcomes.push_back({.result = RewardResult::not_applicable});
    else if (score->is_number())
      reply.outcomes.push_back(
          {.result = RewardResult::scored, .score = score->to_number<double>()});
    else
      return raised("the score " + json::serialize(*score) + " is no number");
  }
  return reply;
}

}  // namespace zeroth
