// attention_backward of attention.h.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "tests/kernels/attention_cases.h"
#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

std::vector<float> joined(const AttentionBatch::Gradients& gradients) {
  auto all = gradients.dq;
  all.insert(all.end(), gradients.dcache.begin(), gradients.dcache.end());
  return all;
}

// Compares dq and dcache with differences of the reference; where no key lies dcache must still be
// NaN.
void check_gradients(const AttentionBatch& batch) {
  const auto gradients = batch.backward(best_context(), batch.empty_gradient());
  const Doubles dout = as_doubles(batch.dout);
  const Doubles cache = as_doubles(batch.cache);
  const Doubles q = as_doubles(batch.q);
  check_close(gradients.dq,
              numeric_gradient(q,
                               [&](const Doubles& at) {
                                 return testing::dot(
                                     reference_attention(batch.layout(), batch.shape, at, cache),
                                     dout);
                               }),
              kGradient);
  const Doubles expected = numeric_gradient(cache, [&](const Doubles& at) {
    return testing::dot(reference_attention(batch.layout(), batch.shape, q, at), dout);
  });
  std::vector<float> written;
  Doubles wanted;
  bool untouched = true;
  for (std::size_t i = 0; i < cache.size(); ++i) {
    if (std::isnan(cache[i])) {
      untouched = untouched && std::isnan(gradients.dcache[i]);
    } else {
      written.push_back(gradients.dcache[i]);
      wanted.push_back(expected[i]);
    }
  }
  CHECK(untouched);
  check_close(written, wanted, kGradient);
}

TEST_CASE("attention_backward: two keys with equal scores by hand") {
  // p = (1/2, 1/2), out = 8, dout = 1: dV = (1/2, 1/2); dP = (7, 9); dS = p (dP - 8) = (-1/2, 1/2).
  // With q = 3: dK = dS q = (-3/2, 3/2); with k = (0, 0): dq = 0.
  const float cache[] = {0, 7, 0, 9};
  const float q = 3.0F;
  const float dout = 1.0F;
  const float out = 8.0F;
  const float row_max = 0.0F;
  const float row_sum = 2.0F;
  const KeyRun run{.row = 0, .count = 2};
  const AttentionGroup group{.num_members = 1};
  const AttentionMember member{.num_queries = 1, .num_runs = 1, .own_before = 1};
  const AttentionShape shape{
      .H = 1, .Hkv = 1, .Dk = 1, .Dv = 1, .cache_row = 2, .k_head = 1, .v_offset = 1, .v_head = 1};
  for (const Isa isa : supported_isas()) {
    float dq = kNan;
    std::vector<float> dcache{100, 200, 300, 400};
    attention_backward(context_of(isa), {.layout = {&group, 1, &member, 1, &run},
                                         .shape = shape,
                                         .q = &q,
                                         .cache = cache,
                                         .out = &out,
                                         .row_max = &row_max,
                                         .row_sum = &row_sum,
                                         .dout = &dout,
                                         .dq = &dq,
                                         .dcache = dcache.data()});
    CHECK(dq == 0.0F);
    CHECK(dcache == std::vector<float>{98.5F, 200.5F, 301.5F, 400.5F});
  }
}

TEST_CASE("attention_backward: grouped-query heads agree with finite differences") {
  check_gradients(
      AttentionBatch(gqa_shape(4, 2, 5, 3), {{.prefix_length = 0, .members = {{0, 5}}}}, 2));
  check_gradients(
      AttentionBatch(gqa_shape(2, 2, 3, 17), {{.prefix_length = 0, .members = {{4, 3}}}}, 0));
}

TEST_CASE(
    "attention_backward: a latent row that is K and V at once agrees with finite differences") {
  check_gradients(AttentionBatch(latent_shape(3, 20, 16),
                                 {{.prefix_length = 3, .members = {{0, 4}, {2, 3}}}}, 4));
}

TEST_CASE("attention_backward: a prefix shared by several members agrees with finite differences") {
  check_gradients(AttentionBatch(gqa_shape(4, 2, 5, 3),
                                 {{.prefix_length = 5, .members = {{0, 3}, {2, 2}, {0, 1}}},
                                  {.prefix_length = 0, .members = {{1, 2}}}},
                                 4));
}

TEST_CASE("attention_backward: more queries than one block agree with finite differences") {
  check_gradients(
      AttentionBatch(gqa_shape(2, 1, 2, 2), {{.prefix_length = 3, .members = {{1, 37}}}}, 16));
}

const std::vector<GroupSpec> kMixed = {
    {.prefix_length = 37, .members = {{0, 5}, {3, 1}, {20, 17}, {0, 40}}},
    {.prefix_length = 0, .members = {{0, 70}}},
    {.prefix_length = 16, .members = {{15, 1}, {0, 1}}}};

TEST_CASE("attention_backward: the same bits on every instruction set and number of threads") {
  for (const AttentionShape& shape : {gqa_shape(4, 2, 5, 3), latent_shape(3, 36, 32)}) {
    const AttentionBatch batch(shape, kMixed, 16);
    same_everywhere(
        [&](const Context& c) { return joined(batch.backward(c, batch.empty_gradient())); });
  }
}

// The gradient of the cache in the order of the keys, so that layouts can be compared.
std::vector<float> by_key(const AttentionBatch& batch, const std::vector<float>& dcache) {
  std::vector<float> rows;
  for (const KeyRun& run : batch.runs) {
    rows.insert(rows.end(), dcache.begin() + run.row * batch.shape.cache_row,
                dcache.begin() + (run.row + run.count) * batch.shape.cache_row);
  }
  return rows;
}

TEST_CASE("attention_backward: pages of 1, 4 and 16 rows and one run give the same bits") {
  for (const AttentionShape& shape : {gqa_shape(4, 2, 5, 3), latent_shape(3, 20, 16)}) {
    const AttentionBatch whole(shape, kMixed, 0);
    const auto expected = whole.backward(best_context(), whole.empty_gradient());
    for (const std::int64_t page : {1, 4, 16}) {
      const AttentionBatch batch(shape, kMixed, page);
      const auto gradients = batch.backward(best_context(), batch.empty_gradient());
      CHECK(same_bits(gradients.dq, expected.dq));
      CHECK(same_bits(by_key(batch, gradients.dcache), by_key(whole, expected.dcache)));
    }
  }
}

TEST_CASE("attention_backward: a shared prefix gets the members' gradients added in order") {
  for (const AttentionShape& shape : {gqa_shape(4, 2, 5, 3), latent_shape(3, 20, 16)}) {
    const AttentionBatch batch(shape, kMixed, 16);
    auto expected = batch.empty_gradient();
    std::vector<float> dq(batch.q.size(), kNan);
    for (std::size_t g = 0; g < batch.groups.size(); ++g) {
      for (std::int64_t m = 0; m < batch.groups[g].num_members; ++m) {
        const AttentionBatch alone = batch.only(static_cast<std::int64_t>(g), m);
        const auto part = alone.backward(best_context(), alone.empty_gradient());
        for (std::size_t i = 0; i < expected.size(); ++i)
          expected[i] = expected[i] + part.dcache[i];
        const auto begin = alone.members[0].first_query * shape.H * shape.Dk;
        const auto end = begin + alone.members[0].num_queries * shape.H * shape.Dk;
        std::copy(part.dq.begin() + begin, part.dq.begin() + end, dq.begin() + begin);
      }
    }
    const auto together = batch.backward(best_context(), batch.empty_gradient());
    CHECK(same_bits(together.dcache, expected));
    CHECK(same_bits(together.dq, dq));
  }
}

TEST_CASE("attention_backward: members whose shares of a long prefix are not held at once") {
  // 7 shares of 4,500 keys x 36 floats are more than the 2^20 floats of a wave; with 16 threads a
  // wave has at least 64 members all the same, so all are held.
  const AttentionShape shape = gqa_shape(1, 1, 17, 17);
  std::vector<MemberSpec> members(16, MemberSpec{.own_before = 0, .num_queries = 2});
  const AttentionBatch batch(
      shape,
      {{.prefix_length = 4500, .members = members}, {.prefix_length = 5, .members = {{0, 1}}}},
      1000);
  const auto one = batch.backward(context_of(best_isa(), 1), batch.empty_gradient());
  const auto many = batch.backward(context_of(best_isa(), 16), batch.empty_gradient());
  CHECK(same_bits(joined(one), joined(many)));
  auto expected = batch.empty_gradient();
  for (std::int64_t m = 0; m < 16; ++m) {
    const AttentionBatch alone = batch.only(0, m);
    const auto part = alone.backward(best_context(), alone.empty_gradient());
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += part.dcache[i];
  }
  const AttentionBatch last = batch.only(1, 0);
  const auto part = last.backward(best_context(), last.empty_gradient());
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += part.dcache[i];
  CHECK(same_bits(one.dcache, expected));
}

TEST_CASE("attention_backward: a sequence cut after 32 queries gives the bits of the whole") {
  // Queries are taken 32 at a time and go on from what the cache's gradient holds.
  const AttentionBatch whole(gqa_shape(4, 2, 5, 3), {{.prefix_length = 0, .members = {{3, 70}}}},
                             16);
  const AttentionBatch cut = whole.in_chunks(32);
  auto dcache = cut.empty_gradient();
  std::vector<float> dq(cut.q.size());
  for (std::size_t g = 0; g < cut.groups.size(); ++g) {
    const AttentionBatch part = cut.only(static_cast<std::int64_t>(g), 0);
    const auto gradients = part.backward(best_context(), dcache);
    dcache = gradients.dcache;
    const auto begin = part.members[0].first_query * 4 * 5;
    const auto end = begin + part.members[0].num_queries * 4 * 5;
    std::copy(gradients.dq.begin() + begin, gradients.dq.begin() + end, dq.begin() + begin);
  }
  const auto expected = whole.backward(best_context(), whole.empty_gradient());
  CHECK(same_bits(dq, expected.dq));
  CHECK(same_bits(dcache, expected.dcache));
}

TEST_CASE("attention_backward: dq does not depend on sharing a prefix") {
  const AttentionBatch batch(gqa_shape(4, 2, 5, 3), kMixed, 16);
  const AttentionBatch apart = batch.without_sharing();
  const auto shared = batch.backward(best_context(), batch.empty_gradient());
  const auto own = apart.backward(best_context(), apart.empty_gradient());
  CHECK(same_bits(shared.dq, own.dq));
}

}  // namespace
}  // namespace zeroth
