#include "rewards/rules/tool_call_reward.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "rewards/rules/item_reward.h"
#include "rewards/rules/json_schema.h"
#include "rewards/rules/tag_reward.h"
#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr auto npos = std::string_view::npos;

// Schemas of arguments by the names of tools.
using Tools = std::map<std::string, json::value, std::less<>>;

Tools read_tools(const json::value& value) {
  // Through text, for errors that name the path; serialize() also writes what is infinite.
  const JsonReader list =
      JsonReader::parse(json::serialize(value), "reward_config: tool_call.tools");
  Tools tools;
  for (const JsonReader& entry : list.elements()) {
    const JsonReader tool = entry.has("function") ? entry.child("function") : entry;
    const std::string name = tool.get_string("name");
    json::value schema = json::object{};
    if (tool.has("parameters")) {
      check_json_schema(tool.child("parameters"));
      schema = tool.child("parameters").value();
    }
    if (name.empty() || !tools.emplace(name, std::move(schema)).second)
      tool.fail("name", "a name that no other tool has");
  }
  return tools;
}

// The value that `text` is; nothing where it is no JSON.
std::optional<JsonReader> parsed(std::string_view text) {
  try {
    return JsonReader::parse(text, "call");
  } catch (const InputError&) {
    return std::nullopt;
  }
}

bool is_right_call(std::string_view text, const Tools& tools) {
  const std::optional<JsonReader> call = parsed(text);
  if (!call || !call->value().is_object()) return false;
  const json::object& members = call->value().get_object();
  const json::value* name = members.if_contains("name");
  const json::value* arguments = members.if_contains("arguments");
  if (name == nullptr || arguments == nullptr || members.size() != 2) return false;
  if (!name->is_string() || name->get_string().empty() || !arguments->is_object()) return false;
  if (tools.empty()) return true;
  const auto tool = tools.find(std::string_view(name->get_string()));
  return tool != tools.end() && matches_json_schema(*arguments, tool->second);
}

// The texts between <tag> and </tag>; nothing where the tags do not take turns.
std::optional<std::vector<std::string_view>> calls_of(std::string_view text,
                                                      const std::string& tag) {
  const std::string opening = "<" + tag + ">", closing = "</" + tag + ">";
  std::vector<std::string_view> calls;
  while (true) {
    const std::size_t open = text.find(opening);
    const std::string_view before = text.substr(0, open);
    if (before.find(closing) != npos) return std::nullopt;
    if (open == npos) return calls;
    text.remove_prefix(open + opening.size());
    const std::size_t close = text.find(closing);
    if (close == npos) return std::nullopt;
    calls.push_back(text.substr(0, close));
    text.remove_prefix(close + closing.size());
  }
}

}  // namespace

std::unique_ptr<Reward> make_tool_call_reward(const ToolCallConfig& config) {
  if (!config.tag.empty()) check_tag("tool_call", "tag", config.tag);
  return make_item_reward(
      "tool_call", [tools = read_tools(config.tools), tag = config.tag](const RewardItem& item) {
        if (tag.empty()) return is_right_call(item.completion, tools) ? 1.0 : 0.0;
        const auto calls = calls_of(item.completion, tag);
        if (!calls || calls->empty()) return 0.0;
        for (const std::string_view call : *calls)
          if (!is_right_call(call, tools)) return 0.0;
        return 1.0;
      });
}

}  // namespace zeroth
