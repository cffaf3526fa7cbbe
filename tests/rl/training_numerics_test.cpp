#include "rl/training_numerics.h"

#include <dlfcn.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>

#include "rollout/numerics.h"

namespace {

// A mathematics library of this program's own, which can be another one: off in the last bit.
std::atomic<bool> other_exp = false, other_log = false;

double last_bit_of(double value, bool other) {
  return other ? std::nextafter(value, HUGE_VAL) : value;
}

using Function = double (*)(double);
Function library_function(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
double exp(double x) noexcept {
  static const Function kExp = library_function("exp");
  return last_bit_of(kExp(x), other_exp);
}
double log(double x) noexcept {
  static const Function kLog = library_function("log");
  return last_bit_of(kLog(x), other_log);
}
}

namespace zeroth {

TEST_CASE("training numerics: the rollouts' fingerprint and more, the same on every path",
          "[rl][threads]") {
  for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
    ThreadPool one(1);
    const std::string expected = training_numerics({Isa::portable, &one}, dtype);
    const std::string of_rollouts = rollout_numerics({Isa::portable, &one}, dtype);
    CHECK(expected.starts_with(of_rollouts + "-"));
    CHECK(expected.size() == of_rollouts.size() + 17);
    for (const Isa isa : supported_isas()) {
      ThreadPool pool(3);
      CHECK(training_numerics({isa, &pool}, dtype) == expected);
    }
  }
}

TEST_CASE("training numerics: another exp or log of the mathematics library is another fingerprint",
          "[rl]") {
  ThreadPool one(1);
  const Context context{best_isa(), &one};
  const std::string expected = training_numerics(context, Dtype::float32);
  for (std::atomic<bool>* other : {&other_exp, &other_log}) {
    *other = true;
    const std::string actual = training_numerics(context, Dtype::float32);
    *other = false;
    CHECK(actual != expected);
  }
  CHECK(training_numerics(context, Dtype::float32) == expected);
}

}  // namespace zeroth
