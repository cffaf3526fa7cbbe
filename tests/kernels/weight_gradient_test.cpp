// weight_gradient and column_gradient of gemm.h.
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/gemm.h"
#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

using Segments = std::vector<std::int64_t>;

struct Problem {
  std::int64_t N, K;
  Segments segments;
  std::vector<float> x, dy;  // [T, K + 3] and [T, N + 5], NaN beside the columns

  Problem(std::int64_t outputs, std::int64_t inputs, Segments rows)
      : N(outputs),
        K(inputs),
        segments(std::move(rows)),
        x(widened(random_floats(segments.back() * K, 1), K, K + 3)),
        dy(widened(random_floats(segments.back() * N, 2), N, N + 5)) {}

  void add(const Context& context, const Segments& part, float* dw) const {
    weight_gradient(context, {.x = x.data(),
                              .ldx = K + 3,
                              .dy = dy.data(),
                              .ldy = N + 5,
                              .N = N,
                              .K = K,
                              .segments = part.data(),
                              .num_segments = static_cast<std::int64_t>(part.size()) - 1,
                              .dw = &dw});
  }

  void add_columns(const Context& context, const Segments& part, float* db,
                   const float* scale) const {
    column_gradient(context, {.dy = dy.data(),
                              .ldy = N + 5,
                              .x = scale == nullptr ? nullptr : x.data(),
                              .ldx = K + 3,
                              .scale = scale,
                              .N = N,
                              .segments = part.data(),
                              .num_segments = static_cast<std::int64_t>(part.size()) - 1,
                              .db = db});
  }

  // x and dy turned round: dW = dy^T x.
  Doubles reference() const {
    Doubles dw(static_cast<std::size_t>(N * K));
    for (std::int64_t t = 0; t < segments.back(); ++t) {
      for (std::int64_t n = 0; n < N; ++n) {
        for (std::int64_t k = 0; k < K; ++k) {
          dw[n * K + k] +=
              static_cast<double>(dy[t * (N + 5) + n]) * static_cast<double>(x[t * (K + 3) + k]);
        }
      }
    }
    return dw;
  }
};

TEST_CASE("weight_gradient: hand-computed, added to what is there") {
  // Rows dy = (1, 2), x = 10 and dy = (3, 4), x = 100: dW = (1*10 + 3*100, 2*10 + 4*100).
  const float dy[] = {1, 2, 3, 4};
  const float x[] = {10, 100};
  const std::int64_t segments[] = {0, 1, 2};
  for (const Isa isa : supported_isas()) {
    std::vector<float> dw{1000, 2000};
    float* const pointer = dw.data();
    weight_gradient(context_of(isa), {.x = x,
                                      .ldx = 1,
                                      .dy = dy,
                                      .ldy = 2,
                                      .N = 2,
                                      .K = 1,
                                      .segments = segments,
                                      .num_segments = 2,
                                      .dw = &pointer});
    CHECK(dw == std::vector<float>{1310, 2420});
  }
}

TEST_CASE("weight_gradient: agrees with double precision at odd shapes") {
  const std::array<std::int64_t, 2> shapes[] = {{1, 1},  {3, 15},  {15, 100}, {16, 16},
                                                {17, 3}, {31, 33}, {33, 31},  {100, 17}};
  for (const auto& shape : shapes) {
    const std::int64_t N = shape[0];
    const std::int64_t K = shape[1];
    const Problem problem(N, K, {0, 3, 3, 20, 37});
    const auto dw = same_everywhere([&](const Context& c) {
      Guarded out(std::vector<float>(static_cast<std::size_t>(N * K), 0.0F));
      problem.add(c, problem.segments, out.data());
      CHECK(out.intact());
      return out.values();
    });
    check_close(dw, problem.reference(), kFloat);
  }
}

TEST_CASE("weight_gradient: segments dealt out to several calls give the bits of one call") {
  const Problem problem(33, 17, {0, 7, 8, 8, 31, 64, 100});
  std::vector<float> whole(33 * 17, 0.0F);
  problem.add(best_context(), problem.segments, whole.data());
  const std::vector<std::vector<Segments>> deals = {
      {{0, 7}, {7, 8, 8, 31, 64, 100}},
      {{0, 7, 8, 8}, {8, 31}, {31, 64, 100}},
      {{0, 7}, {7, 8}, {8, 8}, {8, 31}, {31, 64}, {64, 100}}};
  for (const auto& deal : deals) {
    std::vector<float> dw(33 * 17, 0.0F);
    for (const Segments& part : deal) problem.add(best_context(), part, dw.data());
    CHECK(same_bits(dw, whole));
  }
}

TEST_CASE(
    "weight_gradient: control: another cut of the rows has other bits, so the test above can "
    "fail") {
  const Problem problem(33, 17, {0, 31, 64, 100});
  std::vector<float> whole(33 * 17, 0.0F);
  std::vector<float> other(33 * 17, 0.0F);
  problem.add(best_context(), problem.segments, whole.data());
  problem.add(best_context(), {0, 50, 100}, other.data());
  check_close(other, whole, kFloat);
  CHECK_FALSE(same_bits(other, whole));
}

TEST_CASE(
    "weight_gradient: groups own ranges of segments, and a group without rows is left alone") {
  const Problem problem(17, 33, {0, 9, 20, 20, 45});
  const std::int64_t segment_begin[] = {0, 2, 2, 3,
                                        4};  // groups of 2, 0, 1 (of no rows) and 1 segments
  const auto all = same_everywhere([&](const Context& c) {
    std::vector<std::vector<float>> dw(4, std::vector<float>(17 * 33, 0.0F));
    dw[1].assign(17 * 33, kNan);
    dw[2].assign(17 * 33, kNan);
    float* const pointers[] = {dw[0].data(), dw[1].data(), dw[2].data(), dw[3].data()};
    weight_gradient(c, {.x = problem.x.data(),
                        .ldx = 36,
                        .dy = problem.dy.data(),
                        .ldy = 22,
                        .N = 17,
                        .K = 33,
                        .segments = problem.segments.data(),
                        .num_groups = 4,
                        .segment_begin = segment_begin,
                        .dw = pointers});
    std::vector<float> joined;
    for (const auto& part : dw) joined.insert(joined.end(), part.begin(), part.end());
    return joined;
  });
  std::vector<float> expected(2 * 17 * 33, 0.0F);
  problem.add(best_context(), {0, 9, 20}, expected.data());
  problem.add(best_context(), {20, 45}, expected.data() + 17 * 33);
  const auto at = [&](std::ptrdiff_t g) {
    return std::vector<float>(all.begin() + g * 561, all.begin() + (g + 1) * 561);
  };
  CHECK(same_bits(at(0), {expected.begin(), expected.begin() + 561}));
  CHECK(same_bits(at(1), std::vector<float>(561, kNan)));
  CHECK(same_bits(at(2), std::vector<float>(561, kNan)));
  CHECK(same_bits(at(3), {expected.begin() + 561, expected.end()}));
}

TEST_CASE("weight_gradient: is the gradient of gemm by finite differences") {
  const Problem problem(3, 5, {0, 2, 4});
  std::vector<float> dw(15, 0.0F);
  problem.add(best_context(), problem.segments, dw.data());
  const Doubles x = as_doubles(narrowed(problem.x, 5, 8));
  const Doubles dy = as_doubles(narrowed(problem.dy, 3, 8));
  const auto loss = [&](const Doubles& w) {
    return testing::dot(reference_gemm(x, w, 4, 3, 5), dy);
  };
  check_close(dw, numeric_gradient(as_doubles(random_floats(15, 3)), loss), kGradient);
}

TEST_CASE("column_gradient: hand-computed") {
  const float dy[] = {1, 2, 3, 4};
  const float x[] = {10, 20, 30, 40};
  const float scale[] = {0.5F, 2.0F};
  const std::int64_t segments[] = {0, 2};
  std::vector<float> db{100, 200};
  column_gradient(
      best_context(),
      {.dy = dy, .ldy = 2, .N = 2, .segments = segments, .num_segments = 1, .db = db.data()});
  CHECK(db == std::vector<float>{104, 206});
  db = {0, 0};
  column_gradient(best_context(), {.dy = dy,
                                   .ldy = 2,
                                   .x = x,
                                   .ldx = 2,
                                   .scale = scale,
                                   .N = 2,
                                   .segments = segments,
                                   .num_segments = 1,
                                   .db = db.data()});
  CHECK(db == std::vector<float>{1 * 10 * 0.5F + 3 * 30 * 2.0F, 2 * 20 * 0.5F + 4 * 40 * 2.0F});
}

TEST_CASE("column_gradient: agrees with double precision, and segments can be dealt out") {
  for (const std::int64_t N : kOddSizes) {
    const Problem problem(N, N, {0, 7, 7, 40});
    const auto scale = random_floats(40, 4);
    for (const float* const used : {static_cast<const float*>(nullptr), scale.data()}) {
      const auto db = same_everywhere([&](const Context& c) {
        Guarded out(std::vector<float>(static_cast<std::size_t>(N), 0.0F));
        problem.add_columns(c, problem.segments, out.data(), used);
        CHECK(out.intact());
        return out.values();
      });
      Doubles expected(static_cast<std::size_t>(N));
      for (std::int64_t t = 0; t < 40; ++t) {
        for (std::int64_t n = 0; n < N; ++n) {
          const auto factor = used == nullptr ? 1.0
                                              : static_cast<double>(problem.x[t * (N + 3) + n]) *
                                                    static_cast<double>(used[t]);
          expected[n] += factor * static_cast<double>(problem.dy[t * (N + 5) + n]);
        }
      }
      check_close(db, expected, kFloat);
      std::vector<float> parts(static_cast<std::size_t>(N), 0.0F);
      problem.add_columns(best_context(), {0, 7, 7}, parts.data(), used);
      problem.add_columns(best_context(), {7, 40}, parts.data(), used);
      CHECK(same_bits(parts, db));
    }
  }
}

TEST_CASE("column_gradient: is the gradient of a norm's weight by finite differences") {
  constexpr std::int64_t kRows = 4;
  constexpr std::int64_t kWidth = 7;
  const auto x = random_floats(kRows * kWidth, 5);
  const auto dy = random_floats(kRows * kWidth, 6);
  std::vector<float> rstd;
  for (std::int64_t t = 0; t < kRows; ++t) {
    double squares = 0.0;
    for (std::int64_t d = 0; d < kWidth; ++d)
      squares += std::pow(static_cast<double>(x[t * kWidth + d]), 2);
    rstd.push_back(static_cast<float>(1.0 / std::sqrt(squares / kWidth + 1e-6)));
  }
  const std::int64_t segments[] = {0, kRows};
  std::vector<float> dgamma(kWidth, 0.0F);
  column_gradient(best_context(), {.dy = dy.data(),
                                   .ldy = kWidth,
                                   .x = x.data(),
                                   .ldx = kWidth,
                                   .scale = rstd.data(),
                                   .N = kWidth,
                                   .segments = segments,
                                   .num_segments = 1,
                                   .db = dgamma.data()});
  const auto loss = [&](const Doubles& gamma) {
    return testing::dot(reference_rms_norm(as_doubles(x), gamma, 1e-6), as_doubles(dy));
  };
  check_close(dgamma, numeric_gradient(Doubles(kWidth, 1.0), loss), kGradient);
}

}  // namespace
}  // namespace zeroth
