/* example_reward: 1 when the last number of a completion is the reference answer, else 0.
 *
 * Build:  cc -std=c11 -O2 -fPIC -shared -o example_reward.so example_reward.c
 * Try:    zeroth score items.jsonl --reward_funcs ./example_reward.so
 * Train:  zeroth grpo --reward_funcs ./example_reward.so …
 */
#include <string.h>

#include "plugin_abi.h"

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* "-12" of "so it is -12."; empty when there is no number. */
static zeroth_text last_number(zeroth_text text) {
  size_t end = text.size;
  while (end > 0 && !is_digit(text.data[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_digit(text.data[begin - 1])) --begin;
  if (begin > 0 && begin < end && text.data[begin - 1] == '-') --begin;
  return (zeroth_text){text.data + begin, end - begin};
}

/* Your rule goes here. */
static double score_of(const zeroth_reward_item* item) {
  const zeroth_text answer = last_number(item->completion);
  return answer.size > 0 && answer.size == item->reference.size &&
                 memcmp(answer.data, item->reference.data, answer.size) == 0
             ? 1.0
             : 0.0;
}

static int64_t score(const zeroth_reward_item* items, size_t num_items, double* scores, char* error,
                     size_t error_size) {
  (void)error; /* this rule cannot fail; see plugin_abi.h for one that can */
  (void)error_size;
  for (size_t i = 0; i < num_items; ++i) scores[i] = score_of(&items[i]);
  return (int64_t)num_items;
}

const zeroth_reward_plugin* zeroth_reward(void) {
  static const zeroth_reward_plugin plugin = {
      ZEROTH_REWARD_ABI_VERSION, "example_reward",
      "1 when the last number of the completion is the reference", score};
  return &plugin;
}
