// example_reward: 1 when the last number of a completion is the reference answer, else 0.
//
// Build:  zeroth reward build
// Test:   zeroth reward test ./example_reward.so --items items.jsonl
// Train:  zeroth grpo --reward_funcs ./example_reward.so …

#include <zeroth/plugin.h>

#include <string_view>

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "-12" of "so it is -12."; empty when there is no number.
static std::string_view last_number(std::string_view text) {
  while (!text.empty() && !is_digit(text.back())) text.remove_suffix(1);
  std::size_t begin = text.size();
  while (begin > 0 && is_digit(text[begin - 1])) --begin;
  if (begin > 0 && begin < text.size() && text[begin - 1] == '-') --begin;
  return text.substr(begin);
}

// Your rule goes here. zeroth/plugin.h says what item has, and how a rule takes parameters.
ZEROTH_REWARD(example_reward, "1 when the last number of the completion is the reference") {
  const std::string_view answer = last_number(item.completion);
  return !answer.empty() && answer == item.reference;
}
