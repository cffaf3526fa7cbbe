#include "kernels/adamw.h"

#include <vector>

namespace zeroth {

double squared_norm(const Context& context, const float* x, std::int64_t n) {
  std::vector<double> blocks(static_cast<std::size_t>((n + 4095) / 4096));
  squared_norm_blocks(context, {.x = x, .n = n, .blocks = blocks.data()});
  double total = 0.0;
  for (const double block : blocks) total += block;
  return total;
}

}  // namespace zeroth
