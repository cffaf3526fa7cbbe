/* Calls example_reward as zeroth does, without zeroth: `ctest --test-dir build`. C and C++ alike.
 */
#include <stdio.h>
#include <string.h>
#include <zeroth/plugin_abi.h>

static zeroth_text text(const char* data) {
  zeroth_text view;
  view.data = data;
  view.size = strlen(data);
  return view;
}

/* Says what was wrong, and returns how many things were. */
static int expect(const char* completion, const char* reference, double expected) {
  const zeroth_reward_plugin* plugin = zeroth_reward();
  char error[200] = "";
  double score = 0.0;
  void* state = NULL;
  zeroth_reward_item item;
  const zeroth_reward_item* items = &item;
  zeroth_reward_setup setup;
  zeroth_reward_batch batch;

  memset(&setup, 0, sizeof setup);
  setup.struct_size = sizeof setup;
  setup.error = error;
  setup.error_size = sizeof error;
  setup.parameters_json = text("{}");
  if (plugin->create != NULL && plugin->create(&setup, &state) != 0) {
    printf("create: %s\n", error);
    return 1;
  }
  memset(&item, 0, sizeof item);
  item.struct_size = sizeof item;
  item.completion = text(completion);
  item.reference = text(reference);
  memset(&batch, 0, sizeof batch);
  batch.struct_size = sizeof batch;
  batch.error = error;
  batch.error_size = sizeof error;
  batch.items = &items;
  batch.num_items = 1;
  batch.scores = &score;
  if (plugin->score(state, &batch) != 1) printf("\"%s\": %s\n", completion, error);
  if (plugin->destroy != NULL) plugin->destroy(state);
  if (score == expected && error[0] == '\0') return 0;
  printf("\"%s\": expected %g, got %g\n", completion, expected, score);
  return 1;
}

int main(void) {
  int wrong = 0;
  wrong += expect("7 + 5 is 12.", "12", 1.0);
  wrong += expect("That gives -12", "-12", 1.0);
  wrong += expect("It is 12, no, 14.", "13", 0.0);
  wrong += expect("I do not know.", "14", 0.0);
  wrong += expect("", "14", 0.0);
  return wrong == 0 ? 0 : 1;
}
