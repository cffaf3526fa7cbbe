#include "kernels/fixed_point.h"

#include <algorithm>
#include <atomic>
#include <cmath>

namespace zeroth {
namespace {

constexpr std::int64_t kGrain = 1 << 14;
constexpr double kScale = 281474976710656.0;  // 2^48
// Added and taken off again, it leaves a double below 2^51 rounded to an integer.
constexpr double kRounder = 6755399441055744.0;         // 1.5 * 2^52
constexpr double kRoundedAlready = 2251799813685248.0;  // 2^51: a float times 2^48 is an integer

// x times 2^48 is exact in a double.
std::int64_t to_fixed_point(float x) {
  const double scaled = static_cast<double>(x) * kScale;
  const double rounded = (scaled + kRounder) - kRounder;
  return static_cast<std::int64_t>(std::abs(scaled) < kRoundedAlready ? rounded : scaled);
}

}  // namespace

std::int64_t add_fixed_point(const Context& context, const AddFixedPointArgs& args) {
  std::atomic<std::int64_t> first_bad{args.n};
  const auto limit = static_cast<float>(args.limit);
  context.pool->parallel_for(args.n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    // A NaN is not below anything.
    for (std::int64_t i = begin; i < end; ++i) {
      if (std::abs(args.x[i]) < limit) {
        args.sum[i] += to_fixed_point(args.x[i]);
        continue;
      }
      std::int64_t known = first_bad.load();
      while (i < known && !first_bad.compare_exchange_weak(known, i)) {
      }
      return;
    }
  });
  return first_bad < args.n ? first_bad.load() : -1;
}

void from_fixed_point(const Context& context, const std::int64_t* sum, std::int64_t n, float* x) {
  context.pool->parallel_for(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      x[i] = static_cast<float>(static_cast<double>(sum[i]) / kScale);
  });
}

}  // namespace zeroth
