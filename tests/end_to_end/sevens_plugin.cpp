// A reward that a random policy earns, the share of '7', in three tempers: SEVENS_POISONED fails on
// what begins with 3, 4 or 5, each in its own way; SEVENS_MORTAL kills every process at its fifth
// completion.

#include <zeroth/plugin.h>

#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

static double score_of(std::string_view completion) {
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

ZEROTH_REWARD(sevens, "the share of '7'") {
  return score_of(item.completion);
}
