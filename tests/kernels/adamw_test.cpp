#include "kernels/adamw.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

struct State {
  std::vector<float> w, m, v;
};

AdamwArgs step_args(int t) {
  return {.learning_rate = 0.01,
          .beta1 = 0.9,
          .beta2 = 0.99,
          .eps = 1e-8,
          .weight_decay = 0.1,
          .bias_correction1 = 1.0 - std::pow(0.9, t),
          .bias_correction2 = 1.0 - std::pow(0.99, t),
          .gradient_scale = 0.5};
}

void step(const Context& context, AdamwArgs args, State& state, const std::vector<float>& g) {
  const Guarded gradient(g);
  Guarded w(state.w);
  Guarded m(state.m);
  Guarded v(state.v);
  args.w = w.data();
  args.g = gradient.data();
  args.m = m.data();
  args.v = v.data();
  args.n = static_cast<std::int64_t>(g.size());
  adamw(context, args);
  CHECK((w.intact() && m.intact() && v.intact()));
  state = {w.values(), m.values(), v.values()};
}

TEST_CASE("adamw: the first step by hand") {
  // m = 0.1, v = 0.001; corrected both are 1, so w = 1 - 0.5 * 0.1 * 1 - 0.5 * 1 = 0.45.
  for (const Isa isa : supported_isas()) {
    State state{{1.0F}, {0.0F}, {0.0F}};
    step(context_of(isa),
         {.learning_rate = 0.5,
          .eps = 0.0,
          .weight_decay = 0.1,
          .bias_correction1 = 0.1,
          .bias_correction2 = 0.001},
         state, {1.0F});
    check_close(state.w, std::vector<double>{0.45}, {1e-6, 0});
    check_close(state.m, std::vector<double>{0.1}, {1e-6, 0});
    check_close(state.v, std::vector<double>{0.001}, {1e-6, 0});
  }
}

TEST_CASE("adamw: a parameter without gradient only decays") {
  State state{{2.0F}, {0.0F}, {0.0F}};
  step(best_context(), {.learning_rate = 0.25, .weight_decay = 1.0}, state, {0.0F});
  CHECK(state.w == std::vector<float>{1.5F});
}

TEST_CASE("adamw: five steps agree with double precision at odd sizes and around its blocks") {
  for (const std::int64_t n : {1, 3, 15, 16, 17, 31, 33, 100, 4097, 20001}) {
    const auto last = same_everywhere([&](const Context& c) {
      State state{random_floats(n, 1), std::vector<float>(static_cast<std::size_t>(n)),
                  std::vector<float>(static_cast<std::size_t>(n))};
      for (int t = 1; t <= 5; ++t)
        step(c, step_args(t), state, random_floats(n, 10 + static_cast<std::uint32_t>(t)));
      return state.w;
    });
    Doubles w = as_doubles(random_floats(n, 1));
    Doubles m(w.size());
    Doubles v(w.size());
    for (int t = 1; t <= 5; ++t) {
      const AdamwArgs args = step_args(t);
      const auto g = random_floats(n, 10 + static_cast<std::uint32_t>(t));
      for (std::size_t i = 0; i < w.size(); ++i) {
        const double gi = static_cast<double>(g[i]) * args.gradient_scale;
        m[i] = args.beta1 * m[i] + (1.0 - args.beta1) * gi;
        v[i] = args.beta2 * v[i] + (1.0 - args.beta2) * gi * gi;
        w[i] -= args.learning_rate * args.weight_decay * w[i];
        w[i] -= args.learning_rate * (m[i] / args.bias_correction1) /
                (std::sqrt(v[i] / args.bias_correction2) + args.eps);
      }
    }
    check_close(last, w, {1e-5, 1e-6});
  }
}

TEST_CASE("adamw: a range updated in parts has the bits of one update") {
  const auto g = random_floats(10000, 2);
  const State start{random_floats(10000, 3), random_floats(10000, 4),
                    std::vector<float>(10000, 0.25F)};
  State whole = start;
  step(best_context(), step_args(3), whole, g);
  std::vector<float> w;
  const std::ptrdiff_t cuts[] = {0, 7, 5000, 10000};
  for (int i = 0; i < 3; ++i) {
    const std::ptrdiff_t begin = cuts[i];
    const std::ptrdiff_t end = cuts[i + 1];
    const auto part = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + begin, all.begin() + end);
    };
    State state{part(start.w), part(start.m), part(start.v)};
    step(best_context(), step_args(3), state, part(g));
    w.insert(w.end(), state.w.begin(), state.w.end());
  }
  CHECK(same_bits(w, whole.w));
}

TEST_CASE("squared_norm: by hand") {
  const float x[] = {3, 4};
  CHECK(squared_norm(best_context(), x, 2) == 25.0);
  CHECK(squared_norm(best_context(), x, 0) == 0.0);
}

TEST_CASE(
    "squared_norm: one number for every instruction set and number of threads, right to double "
    "precision") {
  for (const std::int64_t n : {1, 17, 4095, 4096, 4097, 50001}) {
    const auto x = random_floats(n, 5, 100.0);
    const double expected = squared_norm(context_of(Isa::portable), x.data(), n);
    CHECK(expected == Approx(testing::dot(as_doubles(x), as_doubles(x))).epsilon(1e-13));
    for (const Isa isa : supported_isas()) {
      for (const int num_threads : {1, 2, 5, 16}) {
        CHECK(squared_norm(context_of(isa, num_threads), x.data(), n) == expected);
      }
    }
  }
}

TEST_CASE("squared_norm: does not overflow where single precision would") {
  const std::vector<float> x(10, 1e30F);
  CHECK(squared_norm(best_context(), x.data(), 10) == Approx(1e61));
}

}  // namespace
}  // namespace zeroth
