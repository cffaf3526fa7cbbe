/* A plugin in C99 that knows another zeroth_reward_plugin than this zeroth's: SIZED_SMALL one that
 * ends before create(), SIZED_LARGE one with fields of a later day, SIZED_FIRST that of ABI 1,
 * SIZED_SHORT one that is too small. Otherwise one that keeps its parameters as its state. */
#include <stdlib.h>
#include <string.h>
#include <zeroth/plugin_abi.h>

/* Its parameters' bytes, less the completion's; -1 without a state. */
static int64_t score(void* state, const zeroth_reward_batch* batch) {
  size_t i;
  if (!ZEROTH_HAS(batch, scores)) return ZEROTH_FAILED;
  for (i = 0; i < batch->num_items; ++i) {
    const zeroth_reward_item* item = batch->items[i];
    if (!ZEROTH_HAS(item, max_tokens)) return ZEROTH_FAILED;
    batch->scores[i] =
        state == NULL ? -1.0 : (double)strlen((const char*)state) - (double)item->completion.size;
  }
  return (int64_t)batch->num_items;
}

static int32_t create(const zeroth_reward_setup* setup, void** state) {
  const zeroth_text json = setup->parameters_json;
  char* copy = NULL;
  if (json.size == 13 && memcmp(json.data, "{\"refuse\":\"\"}", 13) == 0) return ZEROTH_FAILED;
  if (json.size == 11 && memcmp(json.data, "{\"limit\":1}", 11) == 0) {
    strncpy(setup->error, "limit: expected 2 at least, got 1", setup->error_size);
    return ZEROTH_FAILED;
  }
  copy = (char*)calloc(json.size + 1, 1);
  if (copy == NULL) return ZEROTH_OUT_OF_MEMORY;
  memcpy(copy, json.data, json.size);
  *state = copy;
  return 0;
}

static void destroy(void* state) {
  free(state);
}

#if defined(SIZED_SMALL) || defined(SIZED_SHORT)
typedef struct {
  uint32_t struct_size, abi;
  const char *name, *description;
#ifdef SIZED_SMALL
  int64_t (*score)(void* state, const zeroth_reward_batch* batch);
#endif
} known_plugin;
#elif defined(SIZED_LARGE)
typedef struct {
  zeroth_reward_plugin plugin;
  const char* later[8];
} known_plugin;
#elif defined(SIZED_FIRST)
typedef struct {
  uint32_t abi_version;
  const char *name, *description;
  int64_t (*score)(void* state, const zeroth_reward_batch* batch); /* never called */
} known_plugin;
#else
typedef zeroth_reward_plugin known_plugin;
#endif

const zeroth_reward_plugin* zeroth_reward(void) {
  static const known_plugin plugin = {
#ifdef SIZED_FIRST
      1, "sized", "of another size", score
#elif defined(SIZED_SMALL)
      sizeof(known_plugin), ZEROTH_REWARD_ABI, "sized", "of another size", score
#elif defined(SIZED_SHORT)
      sizeof(known_plugin), ZEROTH_REWARD_ABI, "sized", "of another size"
#elif defined(SIZED_LARGE)
      {sizeof(known_plugin), ZEROTH_REWARD_ABI, "sized", "of another size", score, create, destroy},
      {"later"}
#else
      sizeof(known_plugin), ZEROTH_REWARD_ABI, "sized", "of another size", score, create, destroy
#endif
  };
  (void)score;
  (void)create;
  (void)destroy;
  return (const zeroth_reward_plugin*)&plugin;
}
