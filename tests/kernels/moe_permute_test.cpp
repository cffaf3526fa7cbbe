#include "kernels/moe_permute.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

struct Plan {
  std::vector<std::int64_t> offsets, row_of_slot, token_of_row;

  Plan(const std::vector<std::int32_t>& experts, std::int64_t K, std::int64_t E)
      : offsets(static_cast<std::size_t>(E + 1)),
        row_of_slot(experts.size()),
        token_of_row(experts.size()) {
    moe_plan(experts.data(), static_cast<std::int64_t>(experts.size()) / K, K, E, offsets.data(),
             row_of_slot.data(), token_of_row.data());
  }
};

// K different experts of E a token.
std::vector<std::int32_t> some_experts(std::int64_t T, std::int64_t K, std::int64_t E) {
  std::vector<std::int32_t> experts;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t k = 0; k < K; ++k)
      experts.push_back(static_cast<std::int32_t>((t * t + 3 * k + t) % E));
  }
  return experts;
}

TEST_CASE("moe_plan: hand-sorted slots") {
  // Tokens 0, 1, 2 choose experts (2, 0), (0, 3), (2, 3); nobody chooses 1.
  const Plan plan({2, 0, 0, 3, 2, 3}, 2, 4);
  CHECK(plan.offsets == std::vector<std::int64_t>{0, 2, 2, 4, 6});
  CHECK(plan.row_of_slot == std::vector<std::int64_t>{2, 0, 1, 4, 3, 5});
  CHECK(plan.token_of_row == std::vector<std::int64_t>{0, 1, 0, 2, 1, 2});
}

TEST_CASE("moe_plan: rows are a permutation of the slots, sorted by expert, then by token") {
  for (const std::int64_t T : {0, 1, 3, 17, 100}) {
    const auto experts = some_experts(T, 3, 11);
    const Plan plan(experts, 3, 11);
    REQUIRE(plan.offsets.back() == 3 * T);
    std::vector<int> used(experts.size());
    for (std::size_t slot = 0; slot < experts.size(); ++slot) {
      const std::int64_t row = plan.row_of_slot[slot];
      const auto e = static_cast<std::size_t>(experts[slot]);
      REQUIRE((row >= plan.offsets[e] && row < plan.offsets[e + 1]));
      REQUIRE(++used[static_cast<std::size_t>(row)] == 1);
      REQUIRE(plan.token_of_row[static_cast<std::size_t>(row)] ==
              static_cast<std::int64_t>(slot) / 3);
    }
    for (std::size_t e = 0; e < 11; ++e) {
      for (std::int64_t row = plan.offsets[e] + 1; row < plan.offsets[e + 1]; ++row) {
        REQUIRE(plan.token_of_row[static_cast<std::size_t>(row) - 1] <
                plan.token_of_row[static_cast<std::size_t>(row)]);
      }
    }
  }
}

std::vector<float> gathered(const Context& context, const std::vector<float>& x, const Plan& plan,
                            std::int64_t D) {
  const auto num_rows = static_cast<std::int64_t>(plan.token_of_row.size());
  Guarded rows(num_rows * D);
  moe_gather(context, {.x = x.data(),
                       .token_of_row = plan.token_of_row.data(),
                       .rows = rows.data(),
                       .num_rows = num_rows,
                       .D = D});
  CHECK(rows.intact());
  return rows.values();
}

std::vector<float> combined(const Context& context, const std::vector<float>& rows,
                            const Plan& plan, const std::vector<float>* weights,
                            const std::vector<float>& base, std::int64_t K, std::int64_t D) {
  const Guarded guarded_rows(rows);
  Guarded y(base);
  moe_combine(context, {.rows = guarded_rows.data(),
                        .row_of_slot = plan.row_of_slot.data(),
                        .weights = weights == nullptr ? nullptr : weights->data(),
                        .y = y.data(),
                        .T = static_cast<std::int64_t>(base.size()) / D,
                        .K = K,
                        .D = D});
  CHECK(y.intact());
  return y.values();
}

TEST_CASE("moe_gather and moe_combine: by hand, from the base on") {
  const Plan plan({1, 0}, 1, 2);  // token 0 to expert 1, token 1 to expert 0
  const std::vector<float> x{1, 2, 30, 40};
  for (const Isa isa : supported_isas()) {
    const auto rows = gathered(context_of(isa), x, plan, 2);
    CHECK(rows == std::vector<float>{30, 40, 1, 2});
    const std::vector<float> weights{10, 0.5F};
    CHECK(combined(context_of(isa), rows, plan, &weights, {100, 100, 200, 200}, 1, 2) ==
          std::vector<float>{110, 120, 215, 220});
    CHECK(combined(context_of(isa), rows, plan, nullptr, {0, 0, 0, 0}, 1, 2) == x);
  }
}

TEST_CASE("moe_combine: agrees with double precision at odd widths") {
  const Plan plan(some_experts(133, 3, 7), 3, 7);
  const auto weights = random_floats(133 * 3, 1);
  for (const std::int64_t D : kOddSizes) {
    const auto rows = random_floats(133 * 3 * D, 2);
    const auto base = random_floats(133 * D, 3);
    const auto y = same_everywhere(
        [&](const Context& c) { return combined(c, rows, plan, &weights, base, 3, D); });
    Doubles expected = as_doubles(base);
    for (std::int64_t slot = 0; slot < 133 * 3; ++slot) {
      for (std::int64_t d = 0; d < D; ++d) {
        expected[slot / 3 * D + d] += static_cast<double>(weights[slot]) *
                                      static_cast<double>(rows[plan.row_of_slot[slot] * D + d]);
      }
    }
    check_close(y, expected, kFloat);
  }
}

TEST_CASE(
    "moe_gather and moe_combine: a token's bits do not depend on which tokens share the batch") {
  constexpr std::int64_t kTokens = 40;
  constexpr std::int64_t kWidth = 17;
  const auto x = random_floats(kTokens * kWidth, 4);
  const auto weights = random_floats(kTokens * 2, 5);
  const auto experts = some_experts(kTokens, 2, 5);
  const Plan plan(experts, 2, 5);
  const auto whole =
      combined(best_context(),
               same_everywhere([&](const Context& c) { return gathered(c, x, plan, kWidth); }),
               plan, &weights, x, 2, kWidth);
  for (std::ptrdiff_t t = 0; t < kTokens; ++t) {
    const std::vector<float> row(x.begin() + t * kWidth, x.begin() + (t + 1) * kWidth);
    const std::vector<float> weight(weights.begin() + t * 2, weights.begin() + t * 2 + 2);
    const Plan own({experts.begin() + t * 2, experts.begin() + t * 2 + 2}, 2, 5);
    const auto alone = combined(best_context(), gathered(best_context(), row, own, kWidth), own,
                                &weight, row, 2, kWidth);
    REQUIRE(same_bits(alone, {whole.begin() + t * kWidth, whole.begin() + (t + 1) * kWidth}));
  }
}

TEST_CASE("moe_combine_backward: agrees with finite differences") {
  const Plan plan(some_experts(5, 3, 7), 3, 7);
  for (const std::int64_t D : {1, 3, 16, 17, 33}) {
    const auto rows = random_floats(15 * D, 6);
    const auto weights = random_floats(15, 7);
    const auto dy = random_floats(5 * D, 8);
    const auto joined = same_everywhere([&](const Context& c) {
      Guarded drows(15 * D);
      Guarded dweights(15);
      moe_combine_backward(c, {.rows = rows.data(),
                               .row_of_slot = plan.row_of_slot.data(),
                               .weights = weights.data(),
                               .dy = dy.data(),
                               .drows = drows.data(),
                               .dweights = dweights.data(),
                               .T = 5,
                               .K = 3,
                               .D = D});
      CHECK((drows.intact() && dweights.intact()));
      auto out = drows.values();
      for (const float value : dweights.values()) out.push_back(value);
      return out;
    });
    Doubles at = as_doubles(rows);
    for (const float weight : weights) at.push_back(static_cast<double>(weight));
    const auto loss = [&](const Doubles& v) {
      double sum = 0.0;
      for (std::int64_t slot = 0; slot < 15; ++slot) {
        for (std::int64_t d = 0; d < D; ++d) {
          sum += v[15 * D + slot] * v[plan.row_of_slot[slot] * D + d] *
                 static_cast<double>(dy[slot / 3 * D + d]);
        }
      }
      return sum;
    };
    check_close(joined, numeric_gradient(at, loss), kGradient);
  }
}

TEST_CASE("moe_combine_backward: many tokens on many threads") {
  const Plan plan(some_experts(133, 2, 9), 2, 9);
  const auto rows = random_floats(266 * 31, 9);
  const auto weights = random_floats(266, 10);
  const auto dy = random_floats(133 * 31, 11);
  const auto drows = same_everywhere([&](const Context& c) {
    std::vector<float> out(266 * 31);
    std::vector<float> dweights(266);
    moe_combine_backward(c, {.rows = rows.data(),
                             .row_of_slot = plan.row_of_slot.data(),
                             .weights = weights.data(),
                             .dy = dy.data(),
                             .drows = out.data(),
                             .dweights = dweights.data(),
                             .T = 133,
                             .K = 2,
                             .D = 31});
    out.insert(out.end(), dweights.begin(), dweights.end());
    return out;
  });
  for (std::int64_t slot = 0; slot < 266; ++slot) {
    REQUIRE(drows[plan.row_of_slot[slot] * 31 + 30] == weights[slot] * dy[slot / 2 * 31 + 30]);
  }
}

TEST_CASE("add_to: one addition an element, at sizes around its blocks") {
  for (const std::int64_t n : {1, 3, 15, 16, 17, 4095, 4097, 20001}) {
    const auto x = random_floats(n, 12);
    const auto before = random_floats(n, 13);
    const auto y = same_everywhere([&](const Context& c) {
      Guarded out(before);
      add_to(c, {.x = x.data(), .y = out.data(), .n = n});
      CHECK(out.intact());
      return out.values();
    });
    std::vector<float> expected;
    for (std::size_t i = 0; i < y.size(); ++i) expected.push_back(before[i] + x[i]);
    CHECK(same_bits(y, expected));
  }
}

}  // namespace
}  // namespace zeroth
