// Does the completion call tools as they are described?
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <memory>
#include <string>

#include "rewards/reward.h"

namespace zeroth {

struct ToolCallConfig {
  boost::json::value tools = boost::json::array{};
  std::string tag = "tool_call";
};

template <class Visitor>
void visit_fields(Visitor& v, ToolCallConfig& c) {
  v("tools", c.tools,
    "list of {\"name\": …, \"parameters\": JSON Schema}, bare or as {\"type\": \"function\", "
    "\"function\": {…}}; empty = every name and all arguments will do");
  v("tag", c.tag, "name of the tag around each call; empty = the whole completion is one call");
}

/// 1 where the completion has a call and all its calls are right, else 0. A call is the text
/// between <tag> and the next </tag> (as Hermes and Qwen write it): strict JSON, an object of
/// "name" and "arguments" and nothing else, with the name of one of `tools` and an object that
/// matches its parameters (json_schema.h; without "parameters" every object does). A <tag> that is
/// not closed makes it 0, as does a </tag> that closes nothing. What stands around the calls does
/// not count.
std::unique_ptr<Reward> make_tool_call_reward(const ToolCallConfig& config);

}  // namespace zeroth
