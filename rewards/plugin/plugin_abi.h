/* A reward in C, C++ or any language that can export a C function. This header (C99) is all it
 * needs; plugin.h beside it does the rest for C++.
 *
 * A plugin is a shared object that exports one function, zeroth_reward(), which gives a struct that
 * never changes. zeroth loads it in processes of their own, which may crash, hang or run out of
 * memory without harm to the run; nothing of the plugin runs in the trainer. Standard output goes
 * to standard error there; standard input is empty; there is no network.
 *
 * Scores must be a function of the item and the parameters alone: a run is then repeated to the
 * byte, whatever completions come together in a call, in however many processes, and however often
 * one was started anew.
 *
 * Sizes. Structs that may grow begin with their size, as who made them knew it: fields are added at
 * the end only, and the ABI's number stays. Ask ZEROTH_HAS for what is marked "since", and let
 * nothing depend on sizeof of a struct that zeroth made: items come as pointers.
 *
 * Build:  zeroth reward build      in the directory that `zeroth reward new` made, or
 *         c++ -std=c++17 -O2 -fPIC -shared -I. -o my_reward.so my_reward.cpp
 * Test:   zeroth reward test ./my_reward.so
 * Train:  zeroth grpo --reward_funcs ./my_reward.so …
 */
#ifndef ZEROTH_PLUGIN_ABI_H
#define ZEROTH_PLUGIN_ABI_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What this header describes. zeroth refuses a plugin of another number. */
#define ZEROTH_REWARD_ABI 2

/* Whether the struct that `pointer` points to has `field`, by the size that it begins with. */
#define ZEROTH_HAS(pointer, field) \
  ((pointer)->struct_size >=       \
   (size_t)((const char*)(&(pointer)->field) - (const char*)(pointer)) + sizeof((pointer)->field))

/* The score of an item that the reward has nothing to say about: it leaves the weighted sum, and is
 * no failure. The least finite double, which no rule gives by accident and which, unlike a NaN,
 * survives -ffast-math. Every other score has to be finite. */
#define ZEROTH_NOT_APPLICABLE (-DBL_MAX)

/* What score() and create() return instead of a count. After the second the process is ended, as it
 * may hold on to what it has. */
enum { ZEROTH_FAILED = -1, ZEROTH_OUT_OF_MEMORY = -2 };

/* Bytes of a text. UTF-8 where the model wrote UTF-8; there is no 0 at the end, and there may be
 * some within. `data` may be NULL where `size` is 0. */
typedef struct zeroth_text {
  const char* data;
  size_t size;
} zeroth_text;

enum { ZEROTH_FINISH_STOP = 0, ZEROTH_FINISH_LENGTH = 1 };

/* One completion. The pointers are valid during the call. */
typedef struct zeroth_reward_item {
  uint32_t struct_size;
  int32_t finish_reason;         /* ZEROTH_FINISH_STOP, or _LENGTH: cut at max_tokens */
  zeroth_text prompt;            /* the question as the policy saw it */
  zeroth_text completion;        /* what the policy wrote */
  zeroth_text reference;         /* the right answer, from the data set */
  zeroth_text columns_json;      /* other columns of the record, one JSON object; may be empty */
  const int32_t* completion_ids; /* tokens of the completion */
  size_t num_completion_ids;     /* 0 where only the text is known */
  int64_t num_tokens;            /* of the completion, the end-of-sequence token included */
  int64_t max_tokens;            /* max_completion_length of the run */
} zeroth_reward_item;

/* One call of score(). The pointers are valid during it. */
typedef struct zeroth_reward_batch {
  uint32_t struct_size;
  uint32_t error_size;                    /* bytes */
  char* error;                            /* for a message that ends with 0 */
  const zeroth_reward_item* const* items; /* [num_items] */
  size_t num_items;
  double* scores; /* [num_items], to be written: finite, or ZEROTH_NOT_APPLICABLE */
} zeroth_reward_batch;

/* What create() is given. The pointers are valid during the call. */
typedef struct zeroth_reward_setup {
  uint32_t struct_size;
  uint32_t error_size;         /* bytes */
  char* error;                 /* for a message that ends with 0 */
  zeroth_text parameters_json; /* one JSON object, from the recipe's reward_config; {} for none */
} zeroth_reward_setup;

typedef struct zeroth_reward_plugin {
  uint32_t struct_size;    /* sizeof(zeroth_reward_plugin) */
  uint32_t abi;            /* ZEROTH_REWARD_ABI */
  const char* name;        /* of letters, digits, _ - and . : the name in metrics */
  const char* description; /* one line */

  /* Writes batch->scores[i] for batch->items[i] and returns batch->num_items. To report an error,
   * writes a message into batch->error and returns ZEROTH_FAILED. May throw no exception. `state`
   * is what create() made, else NULL. A process calls create(), score() and destroy() one at a
   * time. */
  int64_t (*score)(void* state, const zeroth_reward_batch* batch);

  /* May be NULL, with destroy; a plugin without it is refused when it is given parameters. Makes
   * *state from the parameters and returns 0; to refuse them, writes a message into setup->error
   * and returns ZEROTH_FAILED. Called once in each process, before the first score(). */
  int32_t (*create)(const zeroth_reward_setup* setup, void** state);

  /* Ends what create() made. Not called in a process that is killed. */
  void (*destroy)(void* state);
} zeroth_reward_plugin;

/* The one function that a plugin exports. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const zeroth_reward_plugin*
zeroth_reward(void);

#ifdef __cplusplus
}
#endif

#endif /* ZEROTH_PLUGIN_ABI_H */
