#include "kernels/rms_norm.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

// y of rows of width D; `strides` beyond D are padded with NaN.
std::vector<float> norm(const Context& context, const std::vector<float>& x,
                        const std::vector<float>& gamma, float eps = 1e-6F,
                        std::int64_t padding = 0) {
  const auto D = static_cast<std::int64_t>(gamma.size());
  const auto T = static_cast<std::int64_t>(x.size()) / D;
  const auto wide = widened(x, D, D + padding);
  const Guarded guarded_gamma(gamma);
  std::vector<float> y(static_cast<std::size_t>(T * (D + 2 * padding)), kNan);
  rms_norm(context, {.x = wide.data(),
                     .ldx = D + padding,
                     .gamma = guarded_gamma.data(),
                     .y = y.data(),
                     .ldy = D + 2 * padding,
                     .T = T,
                     .D = D,
                     .eps = eps});
  CHECK(padding_is_nan(y, D, D + 2 * padding));
  return narrowed(y, D, D + 2 * padding);
}

TEST_CASE("rms_norm: a hand-computed row") {
  // mean of squares of (3, 4, 0, 0) is 25/4, so rstd is 2/5.
  for (const Isa isa : supported_isas()) {
    const auto y = norm(context_of(isa), {3, 4, 0, 0}, {1, 2, 3, 4}, 0.0F);
    check_close(y, std::vector<double>{1.2, 3.2, 0, 0}, {1e-6, 0});
  }
}

TEST_CASE("rms_norm: eps keeps a row of zeros at zero") {
  CHECK(norm(best_context(), {0, 0, 0}, {1, 1, 1}) == std::vector<float>{0, 0, 0});
}

TEST_CASE("rms_norm: agrees with double precision at odd widths, and padding does not matter") {
  for (const std::int64_t D : kOddSizes) {
    const auto x = random_floats(133 * D, 1, 3.0);
    const auto gamma = random_floats(D, 2);
    const auto y = same_everywhere([&](const Context& c) { return norm(c, x, gamma, 1e-6F, 5); });
    check_close(y, reference_rms_norm(as_doubles(x), as_doubles(gamma), 1e-6), kFloat);
    CHECK(same_bits(y, norm(best_context(), x, gamma)));
  }
}

TEST_CASE("rms_norm: a row's bits do not depend on the other rows") {
  const auto x = random_floats(100 * 33, 3);
  const auto gamma = random_floats(33, 4);
  const auto whole = norm(best_context(), x, gamma);
  for (std::size_t t = 0; t < 100; ++t) {
    const auto at = static_cast<std::ptrdiff_t>(t * 33);
    const auto alone = norm(best_context(), {x.begin() + at, x.begin() + at + 33}, gamma);
    REQUIRE(same_bits(alone, {whole.begin() + at, whole.begin() + at + 33}));
  }
}

TEST_CASE("rms_norm: y may be x") {
  const auto x = random_floats(7 * 31, 5);
  const auto gamma = random_floats(31, 6);
  auto both = x;
  rms_norm(best_context(), {.x = both.data(),
                            .ldx = 31,
                            .gamma = gamma.data(),
                            .y = both.data(),
                            .ldy = 31,
                            .T = 7,
                            .D = 31});
  CHECK(same_bits(both, norm(best_context(), x, gamma)));
}

TEST_CASE("rms_norm: round_bf16 rounds the normalised value and the product") {
  const auto x = random_floats(5 * 33, 7);
  const auto gamma = rounded_to_bf16(random_floats(33, 8));
  const auto unweighted = norm(best_context(), x, std::vector<float>(33, 1.0F));
  std::vector<float> expected;
  for (std::size_t i = 0; i < unweighted.size(); ++i) {
    expected.push_back(round_to_bf16(round_to_bf16(unweighted[i]) * gamma[i % 33]));
  }
  const auto y = same_everywhere([&](const Context& c) {
    std::vector<float> out(x.size());
    rms_norm(c, {.x = x.data(),
                 .ldx = 33,
                 .gamma = gamma.data(),
                 .y = out.data(),
                 .ldy = 33,
                 .T = 5,
                 .D = 33,
                 .round_bf16 = true});
    return out;
  });
  CHECK(same_bits(y, expected));
}

struct Gradient {
  std::vector<float> x, gamma, dy, rstd;
  std::int64_t T, D;

  Gradient(std::int64_t rows, std::int64_t width)
      : x(random_floats(rows * width, 9, 2.0)),
        gamma(random_floats(width, 10)),
        dy(random_floats(rows * width, 11)),
        rstd(static_cast<std::size_t>(rows)),
        T(rows),
        D(width) {
    std::vector<float> y(x.size());
    rms_norm(best_context(), {.x = x.data(),
                              .ldx = D,
                              .gamma = gamma.data(),
                              .y = y.data(),
                              .ldy = D,
                              .rstd = rstd.data(),
                              .T = T,
                              .D = D});
  }

  std::vector<float> dx(const Context& context, bool add, float initial) const {
    const std::int64_t ld = D + 3;
    const auto wide_x = widened(x, D, ld);
    const auto wide_dy = widened(dy, D, ld + 1);
    auto out = widened(std::vector<float>(x.size(), initial), D, ld + 2);
    rms_norm_backward(context, {.x = wide_x.data(),
                                .ldx = ld,
                                .gamma = gamma.data(),
                                .rstd = rstd.data(),
                                .dy = wide_dy.data(),
                                .ldy = ld + 1,
                                .dx = out.data(),
                                .lddx = ld + 2,
                                .T = T,
                                .D = D,
                                .add_to_dx = add});
    CHECK(padding_is_nan(out, D, ld + 2));
    return narrowed(out, D, ld + 2);
  }
};

TEST_CASE("rms_norm_backward: agrees with finite differences") {
  for (const std::int64_t D : {1, 3, 16, 17, 33}) {
    const Gradient g(3, D);
    const auto dx = same_everywhere([&](const Context& c) { return g.dx(c, false, kNan); });
    const auto loss = [&](const Doubles& x) {
      return testing::dot(reference_rms_norm(x, as_doubles(g.gamma), 1e-6), as_doubles(g.dy));
    };
    check_close(dx, numeric_gradient(as_doubles(g.x), loss), kGradient);
  }
}

TEST_CASE("rms_norm_backward: adding is one addition after the gradient, and threads do not show") {
  const Gradient g(133, 31);
  const auto dx = g.dx(best_context(), false, kNan);
  const auto added = same_everywhere([&](const Context& c) { return g.dx(c, true, 0.25F); });
  auto expected = dx;
  for (float& value : expected) value = 0.25F + value;
  CHECK(same_bits(added, expected));
}

TEST_CASE("rms_norm_backward: dx may be dy") {
  const Gradient g(5, 17);
  auto both = g.dy;
  rms_norm_backward(best_context(), {.x = g.x.data(),
                                     .ldx = 17,
                                     .gamma = g.gamma.data(),
                                     .rstd = g.rstd.data(),
                                     .dy = both.data(),
                                     .ldy = 17,
                                     .dx = both.data(),
                                     .lddx = 17,
                                     .T = 5,
                                     .D = 17});
  CHECK(same_bits(both, g.dx(best_context(), false, kNan)));
}

}  // namespace
}  // namespace zeroth
