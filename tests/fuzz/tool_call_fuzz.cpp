// A completion after a line that describes the tools: the score is 0 or 1, 0 without a tag, and the
// same when words stand around it; descriptions that are none are refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "rewards/rules/tool_call_reward.h"
#include "system/error.h"
#include "system/json.h"

namespace {

using namespace zeroth;

void require(bool condition) {
  if (!condition) std::abort();
}

std::unique_ptr<Reward> reward_of(std::string_view tools) {
  try {
    return make_tool_call_reward({.tools = JsonReader::parse(tools, "tools").value()});
  } catch (const InputError&) {
    return make_tool_call_reward({});
  }
}

double score_of(const Reward& reward, std::string_view completion) {
  const RewardItem item{.completion = completion};
  return reward.score({&item, 1}).at(0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const auto reward = reward_of(text.substr(0, line));
  const std::string_view completion = line == std::string_view::npos ? "" : text.substr(line + 1);
  const double score = score_of(*reward, completion);
  require(score == 0.0 || score == 1.0);
  if (completion.find("<tool_call>") == std::string_view::npos) require(score == 0.0);
  require(score_of(*reward, "before. " + std::string(completion) + " after.") == score);
  return 0;
}
