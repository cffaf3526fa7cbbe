/* A reward in C, C++ or any language that can export a C function. This header is all it needs.
 *
 * A plugin is a shared object that exports one function, zeroth_reward(), which gives a struct that
 * never changes. zeroth loads it in a process of its own, which may crash, hang or run out of
 * memory without harm to the run; nothing of the plugin runs in the trainer. Standard output goes
 * to standard error there; standard input is empty; there is no network.
 *
 * Scores must be a function of the item alone: a run is then repeated to the byte, whatever
 * completions come together in a call and however often the process was started anew.
 *
 * Build:  c++ -std=c++17 -O2 -fPIC -shared -o my_reward.so my_reward.cpp
 * Try:    zeroth score items.jsonl --reward_funcs ./my_reward.so
 * Train:  zeroth grpo --reward_funcs ./my_reward.so …
 */
#ifndef ZEROTH_PLUGIN_ABI_H
#define ZEROTH_PLUGIN_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What this header describes. zeroth refuses a plugin of another version. */
#define ZEROTH_REWARD_ABI_VERSION 1

/* Bytes of a text. UTF-8 where the model wrote UTF-8; there is no 0 at the end. */
typedef struct zeroth_text {
  const char* data;
  size_t size;
} zeroth_text;

enum { ZEROTH_FINISH_STOP = 0, ZEROTH_FINISH_LENGTH = 1 };

/* One completion. The pointers are valid during the call. */
typedef struct zeroth_reward_item {
  zeroth_text prompt;            /* the question as the policy saw it */
  zeroth_text completion;        /* what the policy wrote */
  zeroth_text reference;         /* the right answer, from the data set */
  zeroth_text columns_json;      /* other columns of the record, one JSON object; may be empty */
  const int32_t* completion_ids; /* tokens of the completion */
  size_t num_completion_ids;     /* 0 where only the text is known */
  int64_t num_tokens;            /* of the completion, the end-of-sequence token included */
  int64_t max_tokens;            /* max_completion_length of the run */
  int32_t finish_reason;         /* ZEROTH_FINISH_STOP, or _LENGTH: cut at max_tokens */
} zeroth_reward_item;

typedef struct zeroth_reward_plugin {
  uint32_t abi_version;    /* ZEROTH_REWARD_ABI_VERSION */
  const char* name;        /* of letters, digits, _ - and . : the name in metrics */
  const char* description; /* one line */

  /* Writes scores[i] for items[i], finite numbers, and returns num_items. To report an error,
   * writes a message that ends with 0 into error (error_size bytes) and returns -1. May throw no
   * exception. Is called by one thread at a time. */
  int64_t (*score)(const zeroth_reward_item* items, size_t num_items, double* scores, char* error,
                   size_t error_size);
} zeroth_reward_plugin;

/* The one function that a plugin exports. */
const zeroth_reward_plugin* zeroth_reward(void);

#ifdef __cplusplus
}
#endif

#endif /* ZEROTH_PLUGIN_ABI_H */
