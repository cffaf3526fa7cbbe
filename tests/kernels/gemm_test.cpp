#include "kernels/gemm.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

PackedWeight packed(const std::vector<float>& w, std::int64_t N, std::int64_t K, WeightType type) {
  const MatrixView part{.data = w.data(), .rows = N, .columns = K, .row = K};
  PackedWeight weight;
  pack_weight({&part, 1}, Stack::rows, type, weight);
  return weight;
}

// y of x [M, K] with NaN beside and behind the K columns of x and the N columns of y.
std::vector<float> product(const Context& context, const std::vector<float>& x,
                           const PackedWeight& weight, bool round = false) {
  const auto M = static_cast<std::int64_t>(x.size()) / weight.K;
  const auto wide = widened(x, weight.K, weight.K + 3);
  std::vector<float> y(static_cast<std::size_t>(M * (weight.N + 5)), kNan);
  gemm(context, {.x = wide.data(),
                 .ldx = weight.K + 3,
                 .M = M,
                 .weights = &weight,
                 .y = y.data(),
                 .ldy = weight.N + 5,
                 .round_bf16 = round});
  CHECK(padding_is_nan(y, weight.N, weight.N + 5));
  return narrowed(y, weight.N, weight.N + 5);
}

TEST_CASE("gemm: a hand-computed product") {
  const auto w = packed({1, 2, 3, 4, 5, 6}, 3, 2, WeightType::float32);
  for (const Isa isa : supported_isas()) {
    CHECK(product(context_of(isa), {1, 10, 2, 20}, w) ==
          std::vector<float>{21, 43, 65, 42, 86, 130});
  }
}

TEST_CASE("gemm: agrees with double precision at odd shapes") {
  for (const auto& [M, N, K] : {std::array<std::int64_t, 3>{1, 1, 1},
                                {3, 15, 17},
                                {15, 16, 31},
                                {16, 33, 3},
                                {17, 100, 1},
                                {31, 3, 100},
                                {33, 31, 33},
                                {100, 17, 16},
                                {197, 65, 15}}) {
    for (const WeightType type : {WeightType::float32, WeightType::bfloat16}) {
      auto x = random_floats(M * K, 1);
      auto w = random_floats(N * K, 2);
      const auto weight = packed(w, N, K, type);
      if (type == WeightType::bfloat16) {
        x = rounded_to_bf16(x);
        w = rounded_to_bf16(w);
      }
      const auto y = same_everywhere([&](const Context& c) { return product(c, x, weight); });
      check_close(y, reference_gemm(as_doubles(x), as_doubles(w), M, N, K), kFloat);
    }
  }
}

TEST_CASE("gemm: an element is one fma chain over ascending k") {
  const auto x = random_floats(2 * 100, 3);
  const auto w = random_floats(3 * 100, 4);
  std::vector<float> chains;
  for (int m = 0; m < 2; ++m) {
    for (int n = 0; n < 3; ++n) {
      float sum = 0.0F;
      for (int k = 0; k < 100; ++k) sum = std::fmaf(x[m * 100 + k], w[n * 100 + k], sum);
      chains.push_back(sum);
    }
  }
  CHECK(same_bits(product(best_context(), x, packed(w, 3, 100, WeightType::float32)), chains));
}

// Whether row t of x [M, K] gives the bits of row t of `whole` when computed with `rows` rows from
// `begin` on.
bool slice_agrees(const std::vector<float>& x, const PackedWeight& w,
                  const std::vector<float>& whole, std::int64_t begin, std::int64_t rows) {
  const std::vector<float> slice(x.begin() + begin * w.K, x.begin() + (begin + rows) * w.K);
  return same_bits(product(best_context(), slice, w),
                   {whole.begin() + begin * w.N, whole.begin() + (begin + rows) * w.N});
}

TEST_CASE(
    "gemm: a row's bits depend neither on the number of rows, nor on its place, nor on the other "
    "rows") {
  const auto x = random_floats(100 * 65, 5);
  const auto w = packed(random_floats(33 * 65, 6), 33, 65, WeightType::float32);
  const auto whole = product(best_context(), x, w);
  for (std::int64_t t = 0; t < 100; ++t) REQUIRE(slice_agrees(x, w, whole, t, 1));
  for (const std::int64_t rows : {2, 5, 11, 12, 13, 25, 97}) {
    for (std::int64_t begin = 0; begin + rows <= 100; begin += 7)
      REQUIRE(slice_agrees(x, w, whole, begin, rows));
  }
}

TEST_CASE("gemm: control: a sum over k in two halves has other bits, so the test above can fail") {
  const auto x = random_floats(10 * 64, 7);
  const auto w = random_floats(33 * 64, 8);
  const auto whole = product(best_context(), x, packed(w, 33, 64, WeightType::float32));
  std::vector<float> y(10 * 33, 0.0F);
  for (const std::int64_t half : {0, 1}) {
    const MatrixView part{.data = w.data() + half * 32, .rows = 33, .columns = 32, .row = 64};
    PackedWeight weight;
    pack_weight({&part, 1}, Stack::rows, WeightType::float32, weight);
    gemm(best_context(), {.x = x.data() + half * 32,
                          .ldx = 64,
                          .M = 10,
                          .weights = &weight,
                          .y = y.data(),
                          .ldy = 33,
                          .add_to_y = true});
  }
  check_close(y, whole, kFloat);
  CHECK_FALSE(same_bits(y, whole));
}

// From k = 4864 on, libraries cut the sum between threads when rows are few and threads many, in
// bf16 too, where shorter sums hide it.
TEST_CASE(
    "gemm: a long sum in bf16 has the same bits for any rows and threads, and halves have others") {
  constexpr std::int64_t kK = 4864, kN = 40, kRows = 300;
  const auto x = rounded_to_bf16(random_floats(kRows * kK, 17));
  const auto w = random_floats(kN * kK, 18);
  const auto weights = packed(w, kN, kK, WeightType::bfloat16);
  const auto whole = product(best_context(), x, weights);
  for (const std::int64_t begin : {0, 7, 299}) {
    for (const std::int64_t rows : {1, 7, 128}) {
      if (begin + rows <= kRows) REQUIRE(slice_agrees(x, weights, whole, begin, rows));
    }
  }
  for (const int threads : {1, 2, 16})
    CHECK(same_bits(product({best_isa(), &pool_of(threads)}, x, weights), whole));
  std::vector<float> halves(kRows * kN, 0.0F);
  for (const std::int64_t half : {0, 1}) {
    const MatrixView part{
        .data = w.data() + half * (kK / 2), .rows = kN, .columns = kK / 2, .row = kK};
    PackedWeight weight;
    pack_weight({&part, 1}, Stack::rows, WeightType::bfloat16, weight);
    std::vector<float> y(kRows * kN);
    gemm(best_context(), {.x = x.data() + half * (kK / 2),
                          .ldx = kK,
                          .M = kRows,
                          .weights = &weight,
                          .y = y.data(),
                          .ldy = kN});
    for (std::size_t i = 0; i < y.size(); ++i) halves[i] += y[i];
  }
  CHECK_FALSE(same_bits(halves, whole));
}

TEST_CASE("gemm: bias and addition are one addition each after the chain") {
  const auto x = random_floats(14 * 31, 9);
  const auto w = packed(random_floats(33 * 31, 10), 33, 31, WeightType::float32);
  const auto bias = random_floats(33, 11);
  const auto before = random_floats(14 * 33, 12);
  const auto plain = product(best_context(), x, w);
  std::vector<float> expected;
  for (std::size_t i = 0; i < plain.size(); ++i)
    expected.push_back(before[i] + (plain[i] + bias[i % 33]));
  const auto y = same_everywhere([&](const Context& c) {
    const Guarded guarded_bias(bias);
    Guarded out(before);
    gemm(c, {.x = x.data(),
             .ldx = 31,
             .M = 14,
             .weights = &w,
             .bias = guarded_bias.data(),
             .y = out.data(),
             .ldy = 33,
             .add_to_y = true});
    CHECK(out.intact());
    return out.values();
  });
  CHECK(same_bits(y, expected));
}

TEST_CASE("gemm: round_bf16 rounds the finished sum") {
  const auto x = rounded_to_bf16(random_floats(14 * 31, 13));
  const auto w = packed(random_floats(33 * 31, 14), 33, 31, WeightType::bfloat16);
  const auto y = same_everywhere([&](const Context& c) { return product(c, x, w, true); });
  CHECK(same_bits(y, rounded_to_bf16(product(best_context(), x, w))));
}

TEST_CASE("gemm: groups, empty ones among them, give the bits of products of their own") {
  const std::int64_t offsets[] = {0, 0, 1, 14, 14, 120, 125, 125};
  constexpr std::int64_t kGroups = 7;
  const auto x = random_floats(125 * 17, 15);
  std::vector<PackedWeight> weights;
  for (std::uint32_t e = 0; e < kGroups; ++e) {
    weights.push_back(packed(random_floats(35 * 17, 100 + e), 35, 17, WeightType::float32));
  }
  std::vector<float> expected;
  for (std::size_t e = 0; e < kGroups; ++e) {
    const std::vector<float> rows(x.begin() + offsets[e] * 17, x.begin() + offsets[e + 1] * 17);
    const auto y = product(best_context(), rows, weights[e]);
    expected.insert(expected.end(), y.begin(), y.end());
  }
  const auto y = same_everywhere([&](const Context& c) {
    Guarded out(125 * 35);
    gemm(c, {.x = x.data(),
             .ldx = 17,
             .weights = weights.data(),
             .num_groups = kGroups,
             .offsets = offsets,
             .y = out.data(),
             .ldy = 35});
    CHECK(out.intact());
    return out.values();
  });
  CHECK(same_bits(y, expected));
}

TEST_CASE("gemm: no rows write nothing") {
  const auto w = packed({1, 2}, 1, 2, WeightType::float32);
  float y = 5.0F;
  gemm(best_context(), {.x = nullptr, .ldx = 2, .M = 0, .weights = &w, .y = &y, .ldy = 1});
  CHECK(y == 5.0F);
}

// The product of the weight with the unit vectors is the weight: K rows of N.
std::vector<float> unpacked(const PackedWeight& w) {
  std::vector<float> unit(static_cast<std::size_t>(w.K * w.K));
  for (std::int64_t k = 0; k < w.K; ++k) unit[k * w.K + k] = 1.0F;
  return product(best_context(), unit, w);
}

TEST_CASE("pack_weight: parts below one another, side by side, and transposed") {
  const std::vector<float> a{1, 2, 3, 4};  // [2, 2]
  const std::vector<float> b{5, 6, 7, 8};  // [2, 2]
  const MatrixView parts[] = {{.data = a.data(), .rows = 2, .columns = 2, .row = 2},
                              {.data = b.data(), .rows = 2, .columns = 2, .row = 2}};
  PackedWeight w;
  pack_weight(parts, Stack::rows, WeightType::float32, w);
  CHECK((w.N == 4 && w.K == 2));
  CHECK(unpacked(w) == std::vector<float>{1, 3, 5, 7, 2, 4, 6, 8});
  pack_weight(parts, Stack::columns, WeightType::float32, w);
  CHECK((w.N == 2 && w.K == 4));
  CHECK(unpacked(w) == std::vector<float>{1, 3, 2, 4, 5, 7, 6, 8});
  const MatrixView turned{.data = a.data(), .rows = 2, .columns = 2, .row = 1, .column = 2};
  pack_weight({&turned, 1}, Stack::rows, WeightType::float32, w);
  CHECK(unpacked(w) == std::vector<float>{1, 2, 3, 4});
}

TEST_CASE("pack_weight: bfloat16 rounds to nearest, ties to even") {
  const auto w = packed({1.0F + 0x1p-8F, 1.0F + 0x3p-8F, 1.0F + 0x1.8p-8F, -1.0F - 0x1p-8F}, 4, 1,
                        WeightType::bfloat16);
  CHECK(unpacked(w) == std::vector<float>{1.0F, 1.0F + 0x1p-6F, 1.0F + 0x1p-7F, -1.0F});
}

TEST_CASE("pack_weight: keeps its memory for the same shape and replaces it for another") {
  auto w = packed(random_floats(33 * 5, 16), 33, 5, WeightType::float32);
  const void* const before = w.panels.get();
  const auto values = random_floats(33 * 5, 17);
  const MatrixView part{.data = values.data(), .rows = 33, .columns = 5, .row = 5};
  pack_weight({&part, 1}, Stack::rows, WeightType::float32, w);
  CHECK(w.panels.get() == before);
  CHECK(same_bits(unpacked(w), unpacked(packed(values, 33, 5, WeightType::float32))));
  CHECK(w.bytes() == 64 * 5 * 4);
  pack_weight({&part, 1}, Stack::rows, WeightType::bfloat16, w);
  CHECK(w.bytes() == 64 * 5 * 2);
  CHECK(same_bits(unpacked(w), unpacked(packed(values, 33, 5, WeightType::bfloat16))));
}

TEST_CASE("pack_weight: refuses parts that do not fit together, no parts and empty parts") {
  const float data[6] = {};
  const MatrixView two{.data = data, .rows = 2, .columns = 2, .row = 2};
  const MatrixView three{.data = data, .rows = 2, .columns = 3, .row = 3};
  const MatrixView one_row{.data = data, .rows = 1, .columns = 2, .row = 2};
  const MatrixView empty{.data = data, .rows = 0, .columns = 2, .row = 2};
  const MatrixView by_rows[] = {two, three};
  const MatrixView by_columns[] = {two, one_row};
  PackedWeight w;
  CHECK_THROWS_AS(pack_weight(by_rows, Stack::rows, WeightType::float32, w), std::invalid_argument);
  CHECK_THROWS_AS(pack_weight(by_columns, Stack::columns, WeightType::float32, w),
                  std::invalid_argument);
  CHECK_THROWS_AS(pack_weight({}, Stack::rows, WeightType::float32, w), std::invalid_argument);
  CHECK_THROWS_AS(pack_weight({&empty, 1}, Stack::rows, WeightType::float32, w),
                  std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
