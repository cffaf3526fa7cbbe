// example_reward: 1 when the last number of a completion is the reference answer, else 0.
//
// Build:  c++ -std=c++17 -O2 -fPIC -shared -o example_reward.so example_reward.cpp
// Try:    zeroth score items.jsonl --reward_funcs ./example_reward.so
// Train:  zeroth grpo --reward_funcs ./example_reward.so …

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "plugin_abi.h"

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "-12" of "so it is -12."; empty when there is no number.
std::string_view last_number(std::string_view text) {
  while (!text.empty() && !is_digit(text.back())) text.remove_suffix(1);
  std::size_t begin = text.size();
  while (begin > 0 && is_digit(text[begin - 1])) --begin;
  if (begin > 0 && begin < text.size() && text[begin - 1] == '-') --begin;
  return text.substr(begin);
}

std::string_view view(zeroth_text text) {
  return {text.data, text.size};
}

// Your rule goes here.
double score_of(const zeroth_reward_item& item) {
  const std::string_view answer = last_number(view(item.completion));
  return !answer.empty() && answer == view(item.reference) ? 1.0 : 0.0;
}

std::int64_t score(const zeroth_reward_item* items, std::size_t num_items, double* scores,
                   char* error, std::size_t error_size) {
  try {
    for (std::size_t i = 0; i < num_items; ++i) scores[i] = score_of(items[i]);
    return static_cast<std::int64_t>(num_items);
  } catch (const std::exception& exception) {
    std::snprintf(error, error_size, "%s", exception.what());
    return -1;
  }
}

const zeroth_reward_plugin kPlugin = {ZEROTH_REWARD_ABI_VERSION, "example_reward",
                                      "1 when the last number of the completion is the reference",
                                      score};

}  // namespace

extern "C" const zeroth_reward_plugin* zeroth_reward() {
  return &kPlugin;
}
