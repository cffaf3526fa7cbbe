#include "kernels/rope.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

// Angles of `positions` positions, dim / 2 apiece.
struct Angles {
  std::vector<float> cos, sin;
  Angles(std::int64_t positions, std::int64_t dim) {
    for (std::int64_t p = 0; p < positions; ++p) {
      for (std::int64_t i = 0; i < dim / 2; ++i) {
        const double angle = to_double(p) * std::pow(10000.0, -2.0 * to_double(i) / to_double(dim));
        cos.push_back(static_cast<float>(std::cos(angle)));
        sin.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }
};

struct Rows {
  std::int64_t T = 0, heads = 0, dim = 0;
  std::vector<std::int32_t> positions;
  bool interleaved = false;
  bool round_bf16 = false;

  Rows(std::int64_t tokens, std::int64_t num_heads, std::int64_t width, bool pairs_adjacent)
      : T(tokens), heads(num_heads), dim(width), interleaved(pairs_adjacent) {
    for (std::int64_t t = 0; t < T; ++t)
      positions.push_back(static_cast<std::int32_t>((t * 7 + 3) % 50));
  }

  // x is [T, heads, dim] dense; heads stand 3 further apart with NaN between them.
  std::vector<float> turn(const Context& context, const std::vector<float>& x,
                          bool backward) const {
    const Angles angles(50, dim);
    auto wide = widened(x, dim, dim + 3);
    rope(context, {.x = wide.data(),
                   .row = heads * (dim + 3),
                   .head = dim + 3,
                   .num_heads = heads,
                   .T = T,
                   .dim = dim,
                   .positions = positions.data(),
                   .cos = angles.cos.data(),
                   .sin = angles.sin.data(),
                   .interleaved = interleaved,
                   .backward = backward,
                   .round_bf16 = round_bf16});
    CHECK(padding_is_nan(wide, dim, dim + 3));
    return narrowed(wide, dim, dim + 3);
  }

  Doubles reference(const Doubles& x) const {
    const Angles angles(50, dim);
    Doubles y(x.size());
    for (std::int64_t r = 0; r < T * heads; ++r) {
      for (std::int64_t i = 0; i < dim / 2; ++i) {
        const auto angle = static_cast<std::size_t>(
            positions[static_cast<std::size_t>(r / heads)] * (dim / 2) + i);
        const double a = x[r * dim + (interleaved ? 2 * i : i)];
        const double b = x[r * dim + (interleaved ? 2 * i + 1 : i + dim / 2)];
        const auto c = static_cast<double>(angles.cos[angle]);
        const auto s = static_cast<double>(angles.sin[angle]);
        y[r * dim + i] = a * c - b * s;
        y[r * dim + i + dim / 2] = b * c + a * s;
      }
    }
    return y;
  }
};

TEST_CASE("rope: a quarter turn by hand, halves and interleaved") {
  // One pair of angle 90 degrees and one of none: (a, b) becomes (-b, a).
  const float cos[] = {0.0F, 1.0F};
  const float sin[] = {1.0F, 0.0F};
  const std::int32_t position = 0;
  for (const Isa isa : supported_isas()) {
    std::vector<float> halves{1, 2, 3, 4};  // pairs (1,3), (2,4)
    rope(context_of(isa), {.x = halves.data(),
                           .row = 4,
                           .head = 4,
                           .num_heads = 1,
                           .T = 1,
                           .dim = 4,
                           .positions = &position,
                           .cos = cos,
                           .sin = sin});
    CHECK(halves == std::vector<float>{-3, 2, 1, 4});
    std::vector<float> adjacent{1, 2, 3, 4};  // pairs (1,2), (3,4), written as halves
    rope(context_of(isa), {.x = adjacent.data(),
                           .row = 4,
                           .head = 4,
                           .num_heads = 1,
                           .T = 1,
                           .dim = 4,
                           .positions = &position,
                           .cos = cos,
                           .sin = sin,
                           .interleaved = true});
    CHECK(adjacent == std::vector<float>{-2, 3, 1, 4});
  }
}

TEST_CASE("rope: agrees with double precision, and backward with finite differences") {
  for (const bool interleaved : {false, true}) {
    for (const std::int64_t dim : {2, 6, 32, 34}) {
      const Rows rows(3, 2, dim, interleaved);
      const auto x = random_floats(3 * 2 * dim, 1);
      const auto dy = random_floats(3 * 2 * dim, 2);
      const auto y = same_everywhere([&](const Context& c) { return rows.turn(c, x, false); });
      check_close(y, rows.reference(as_doubles(x)), kFloat);
      const auto dx = same_everywhere([&](const Context& c) { return rows.turn(c, dy, true); });
      const auto loss = [&](const Doubles& at) {
        return testing::dot(rows.reference(at), as_doubles(dy));
      };
      check_close(dx, numeric_gradient(as_doubles(x), loss), kGradient);
    }
  }
}

TEST_CASE("rope: backward restores the input, for it is the inverse as well as the transpose") {
  for (const bool interleaved : {false, true}) {
    const Rows rows(133, 3, 10, interleaved);
    const auto x = random_floats(133 * 3 * 10, 3);
    const auto there = same_everywhere([&](const Context& c) { return rows.turn(c, x, false); });
    check_close(rows.turn(best_context(), there, true), x, {1e-6, 1e-6});
  }
}

// GLM-4.5 turns the first half of a head alone: the kernel is given the width that turns and the
// distance of heads.
TEST_CASE("rope: what of a head does not turn keeps its bits, there and back") {
  constexpr std::int64_t kTokens = 37, kHeads = 3, kHead = 20, kTurned = 10;
  const Angles angles(50, kTurned);
  std::vector<std::int32_t> positions;
  for (std::int32_t t = 0; t < kTokens; ++t) positions.push_back((t * 11 + 1) % 50);
  const auto x = random_floats(kTokens * kHeads * kHead, 7);
  for (const bool backward : {false, true}) {
    const auto y = same_everywhere([&](const Context& c) {
      std::vector<float> turned = x;
      rope(c, {.x = turned.data(),
               .row = kHeads * kHead,
               .head = kHead,
               .num_heads = kHeads,
               .T = kTokens,
               .dim = kTurned,
               .positions = positions.data(),
               .cos = angles.cos.data(),
               .sin = angles.sin.data(),
               .backward = backward});
      return turned;
    });
    std::size_t changed = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const bool turns = i % kHead < kTurned;
      if (!turns) REQUIRE(y[i] == x[i]);
      changed += turns && y[i] != x[i] ? 1 : 0;
    }
    CHECK(changed > x.size() / 3);
  }
}

TEST_CASE("rope: the product of two turned vectors depends on the distance alone") {
  Rows rows(1, 1, 16, false);
  const auto q = random_floats(16, 4);
  const auto k = random_floats(16, 5);
  const auto product = [&](std::int32_t q_position, std::int32_t k_position) {
    rows.positions = {q_position};
    const auto a = rows.turn(best_context(), q, false);
    rows.positions = {k_position};
    return testing::dot(as_doubles(a), as_doubles(rows.turn(best_context(), k, false)));
  };
  CHECK(product(5, 2) == Approx(product(43, 40)).margin(1e-5));
  CHECK(product(5, 2) != Approx(product(5, 3)).margin(1e-3));
}

TEST_CASE("rope: round_bf16 rounds what is written") {
  Rows rows(4, 2, 6, true);
  const auto x = random_floats(4 * 2 * 6, 6);
  const auto exact = rows.turn(best_context(), x, false);
  rows.round_bf16 = true;
  CHECK(same_bits(same_everywhere([&](const Context& c) { return rows.turn(c, x, false); }),
                  rounded_to_bf16(exact)));
}

}  // namespace
}  // namespace zeroth
