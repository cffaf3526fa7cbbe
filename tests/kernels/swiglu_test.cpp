#include "kernels/swiglu.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

std::vector<float> forward(const Context& context, const std::vector<float>& gate_up,
                           std::int64_t I, bool round = false) {
  const auto T = static_cast<std::int64_t>(gate_up.size()) / (2 * I);
  const Guarded in(gate_up);
  Guarded y(T * I);
  swiglu(context, {.gate_up = in.data(), .y = y.data(), .T = T, .I = I, .round_bf16 = round});
  CHECK(y.intact());
  return y.values();
}

std::vector<float> backward(const Context& context, const std::vector<float>& gate_up,
                            const std::vector<float>& dy, std::int64_t I) {
  const Guarded in(gate_up);
  const Guarded upstream(dy);
  Guarded out(static_cast<std::int64_t>(gate_up.size()));
  swiglu_backward(context, {.gate_up = in.data(),
                            .dy = upstream.data(),
                            .dgate_up = out.data(),
                            .T = static_cast<std::int64_t>(dy.size()) / I,
                            .I = I});
  CHECK(out.intact());
  return out.values();
}

TEST_CASE("swiglu: hand-computed values") {
  // silu(0) = 0; silu(g) tends to g for large g and to 0 for large -g; silu(1) = 0.7310586.
  for (const Isa isa : supported_isas()) {
    const auto y = forward(context_of(isa), {0, 40, -200, 1, 5, 3, 7, 2}, 4);
    check_close(y, std::vector<double>{0.0, 120.0, 0.0, 1.4621171572600098}, {1e-6, 1e-9});
  }
}

TEST_CASE("swiglu: agrees with double precision at odd widths") {
  for (const std::int64_t I : kOddSizes) {
    const auto gate_up = random_floats(133 * 2 * I, 1, 6.0);
    const auto y = same_everywhere([&](const Context& c) { return forward(c, gate_up, I); });
    check_close(y, reference_swiglu(as_doubles(gate_up), I), {1e-6, 1e-6});
  }
}

TEST_CASE("swiglu: a row's bits do not depend on the other rows") {
  const auto gate_up = random_floats(70 * 2 * 17, 2, 6.0);
  const auto whole = forward(best_context(), gate_up, 17);
  for (std::ptrdiff_t t = 0; t < 70; ++t) {
    const auto alone =
        forward(best_context(), {gate_up.begin() + t * 34, gate_up.begin() + (t + 1) * 34}, 17);
    REQUIRE(same_bits(alone, {whole.begin() + t * 17, whole.begin() + (t + 1) * 17}));
  }
}

TEST_CASE("swiglu: round_bf16 rounds what is written") {
  const auto gate_up = random_floats(3 * 2 * 33, 3, 6.0);
  const auto y = same_everywhere([&](const Context& c) { return forward(c, gate_up, 33, true); });
  CHECK(same_bits(y, rounded_to_bf16(forward(best_context(), gate_up, 33))));
}

TEST_CASE("swiglu_backward: agrees with finite differences at odd widths") {
  for (const std::int64_t I : {1, 3, 15, 16, 17, 33}) {
    const auto gate_up = random_floats(3 * 2 * I, 4, 4.0);
    const auto dy = random_floats(3 * I, 5);
    const auto d = same_everywhere([&](const Context& c) { return backward(c, gate_up, dy, I); });
    const auto loss = [&](const Doubles& x) {
      return testing::dot(reference_swiglu(x, I), as_doubles(dy));
    };
    check_close(d, numeric_gradient(as_doubles(gate_up), loss), kGradient);
  }
}

TEST_CASE("swiglu_backward: many rows on many threads, and in place") {
  const auto gate_up = random_floats(133 * 2 * 31, 6, 4.0);
  const auto dy = random_floats(133 * 31, 7);
  const auto d = same_everywhere([&](const Context& c) { return backward(c, gate_up, dy, 31); });
  auto in_place = gate_up;
  swiglu_backward(best_context(), {.gate_up = in_place.data(),
                                   .dy = dy.data(),
                                   .dgate_up = in_place.data(),
                                   .T = 133,
                                   .I = 31});
  CHECK(same_bits(in_place, d));
}

}  // namespace
}  // namespace zeroth
