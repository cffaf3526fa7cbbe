// Contexts for tests of kernels: every instruction set this machine has, and one, two, five and
// sixteen threads.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "kernels/context.h"
#include "tests/support/floats.h"

namespace zeroth::testing {

/// A pool of that many threads; one of each size for the whole test program.
inline ThreadPool& pool_of(int num_threads) {
  static ThreadPool one(1);
  static ThreadPool two(2);
  static ThreadPool five(5);
  static ThreadPool sixteen(16);
  switch (num_threads) {
    case 2:
      return two;
    case 5:
      return five;
    case 16:
      return sixteen;
    default:
      return one;
  }
}

inline Context context_of(Isa isa, int num_threads = 1) {
  return {isa, &pool_of(num_threads)};
}
inline Context best_context() {
  return context_of(best_isa());
}

/// The floats that `compute(context)` returns, required to be the same bits for every instruction
/// set and number of threads, and when computed twice.
template <class Compute>
std::vector<float> same_everywhere(const Compute& compute) {
  const std::vector<float> expected = compute(context_of(Isa::portable));
  for (const Isa isa : supported_isas()) {
    for (const int num_threads : {1, 2, 5, 16}) {
      const std::vector<float> actual = compute(context_of(isa, num_threads));
      if (!same_bits(actual, expected)) {
        FAIL(std::string(isa_name(isa)) << " with " << num_threads << " threads gives other bits");
      }
    }
  }
  SUCCEED();
  return expected;
}

}  // namespace zeroth::testing
