/* example_reward: 1 when the last number of a completion is the reference answer, else 0.
 *
 * Build:  zeroth reward build
 * Test:   zeroth reward test ./example_reward.so --items items.jsonl
 * Train:  zeroth grpo --reward_funcs ./example_reward.so …
 */
#include <string.h>
#include <zeroth/plugin_abi.h>

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* "-12" of "so it is -12."; empty when there is no number. */
static zeroth_text last_number(zeroth_text text) {
  zeroth_text number = {text.data, 0};
  size_t end = text.size;
  while (end > 0 && !is_digit(text.data[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_digit(text.data[begin - 1])) --begin;
  if (begin > 0 && begin < end && text.data[begin - 1] == '-') --begin;
  number.size = end - begin;
  if (number.size > 0) number.data += begin;
  return number;
}

/* Your rule goes here. zeroth/plugin_abi.h says what an item has. */
static double score_of(const zeroth_reward_item* item) {
  const zeroth_text answer = last_number(item->completion);
  return answer.size > 0 && answer.size == item->reference.size &&
                 memcmp(answer.data, item->reference.data, answer.size) == 0
             ? 1.0
             : 0.0;
}

/* A rule that can fail writes why into batch->error and returns ZEROTH_FAILED. */
static int64_t score(void* state, const zeroth_reward_batch* batch) {
  (void)state; /* there is none without create() */
  for (size_t i = 0; i < batch->num_items; ++i) batch->scores[i] = score_of(batch->items[i]);
  return (int64_t)batch->num_items;
}

const zeroth_reward_plugin* zeroth_reward(void) {
  static const zeroth_reward_plugin plugin = {
      .struct_size = sizeof(zeroth_reward_plugin),
      .abi = ZEROTH_REWARD_ABI,
      .name = "example_reward",
      .description = "1 when the last number of the completion is the reference",
      .score = score};
  return &plugin;
}
