// A reward that a random policy earns, the share of '7', in three tempers: SEVENS_POISONED fails on
// what begins with 3, 4 or 5, each in its own way; SEVENS_MORTAL kills every process at its fifth
// completion.

#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "rewards/plugin_abi.h"

namespace {

double score_of(std::string_view completion) {
#ifdef SEVENS_MORTAL
  static int seen = 0;
  if (++seen == 5) abort();
#endif
#ifdef SEVENS_POISONED
  if (completion.starts_with('3')) abort();
  if (completion.starts_with('4')) throw std::runtime_error("it begins with 4");
  if (completion.starts_with('5')) return std::nan("");
#endif
  double sevens = 0.0;
  for (const char c : completion) sevens += c == '7' ? 1.0 : 0.0;
  return completion.empty() ? 0.0 : sevens / static_cast<double>(completion.size());
}

std::int64_t score(const zeroth_reward_item* items, std::size_t num_items, double* scores,
                   char* /*error*/, std::size_t /*error_size*/) {
  for (std::size_t i = 0; i < num_items; ++i)
    scores[i] = score_of({items[i].completion.data, items[i].completion.size});
  return static_cast<std::int64_t>(num_items);
}

const zeroth_reward_plugin kPlugin = {ZEROTH_REWARD_ABI_VERSION, "sevens", "the share of '7'",
                                      score};

}  // namespace

extern "C" const zeroth_reward_plugin* zeroth_reward() {
  return &kPlugin;
}
