#include "kernels/attention.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/kernels/attention_cases.h"
#include "tests/support/close.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

// A shared prompt with completions at different lengths, a prompt of its own with many queries, a
// decode step.
const std::vector<GroupSpec> kMixed = {
    {.prefix_length = 37, .members = {{0, 5}, {3, 1}, {20, 17}, {0, 33}}},
    {.prefix_length = 0, .members = {{0, 70}}},
    {.prefix_length = 16, .members = {{15, 1}, {16, 1}, {0, 1}}},
    {.prefix_length = 0, .members = {{0, 1}}}};

std::vector<AttentionShape> shapes() {
  return {gqa_shape(4, 2, 5, 3), gqa_shape(2, 2, 16, 17), gqa_shape(6, 1, 33, 31),
          gqa_shape(1, 1, 1, 1), latent_shape(3, 20, 16), latent_shape(5, 36, 32)};
}

TEST_CASE("attention: one key gives its value, two equal scores their mean") {
  // Cache rows (k, v): (0, 7) and (0, 9). Query 0 sees the first, query 1 both with equal scores.
  const float cache[] = {0, 7, 0, 9};
  const float q[] = {1, 1};
  const KeyRun run{.row = 0, .count = 2};
  const AttentionGroup group{.num_members = 1};
  const AttentionMember member{.num_queries = 2, .num_runs = 1};
  const AttentionShape shape{
      .H = 1, .Hkv = 1, .Dk = 1, .Dv = 1, .cache_row = 2, .k_head = 1, .v_offset = 1, .v_head = 1};
  for (const Isa isa : supported_isas()) {
    std::vector<float> out(2), row_max(2), row_sum(2);
    attention(context_of(isa), {.layout = {&group, 1, &member, 1, &run},
                                .shape = shape,
                                .q = q,
                                .cache = cache,
                                .out = out.data(),
                                .row_max = row_max.data(),
                                .row_sum = row_sum.data()});
    CHECK(out == std::vector<float>{7, 8});
    CHECK(row_max == std::vector<float>{0, 0});
    CHECK(row_sum == std::vector<float>{1, 2});
  }
}

TEST_CASE("attention: a score far above the others takes all the weight") {
  const float cache[] = {0, 7, 1000, 9, -1000, 11};
  const float q[] = {1};
  const KeyRun run{.row = 0, .count = 3};
  const AttentionGroup group{.num_members = 1};
  const AttentionMember member{.num_queries = 1, .num_runs = 1, .own_before = 2};
  const AttentionShape shape{
      .H = 1, .Hkv = 1, .Dk = 1, .Dv = 1, .cache_row = 2, .k_head = 1, .v_offset = 1, .v_head = 1};
  float out = kNan;
  attention(best_context(), {.layout = {&group, 1, &member, 1, &run},
                             .shape = shape,
                             .q = q,
                             .cache = cache,
                             .out = &out});
  CHECK(out == 9.0F);
}

TEST_CASE(
    "attention: agrees with double precision, and never reads other rows and columns of the "
    "cache") {
  for (const AttentionShape& shape : shapes()) {
    const AttentionBatch batch(shape, kMixed, 4);
    const auto out = same_everywhere([&](const Context& c) { return batch.forward(c); });
    check_close(
        out,
        reference_attention(batch.layout(), shape, as_doubles(batch.q), as_doubles(batch.cache)),
        kFloat);
  }
}

TEST_CASE("attention: odd head widths and key counts") {
  for (const std::int64_t size : kOddSizes) {
    const AttentionBatch batch(gqa_shape(2, 1, size, size),
                               {{.prefix_length = size, .members = {{size, 3}}}}, 0);
    const auto out = same_everywhere([&](const Context& c) { return batch.forward(c); });
    check_close(out,
                reference_attention(batch.layout(), batch.shape, as_doubles(batch.q),
                                    as_doubles(batch.cache)),
                kFloat);
  }
}

TEST_CASE("attention: pages of 1, 4, 16 and 33 rows and one run give the same bits") {
  for (const AttentionShape& shape : shapes()) {
    const auto expected = AttentionBatch(shape, kMixed, 0).forward(best_context());
    for (const std::int64_t page : {1, 4, 16, 33}) {
      CHECK(same_bits(AttentionBatch(shape, kMixed, page).forward(best_context()), expected));
    }
  }
}

TEST_CASE("attention: a shared prefix and runs of one's own give the same bits") {
  for (const AttentionShape& shape : shapes()) {
    const AttentionBatch batch(shape, kMixed, 16);
    CHECK(
        same_bits(batch.without_sharing().forward(best_context()), batch.forward(best_context())));
  }
}

TEST_CASE(
    "attention: queries in chunks, or one at a time as in decoding, give the bits of all at once") {
  for (const AttentionShape& shape : shapes()) {
    const AttentionBatch batch(shape, kMixed, 16);
    const auto expected = batch.forward(best_context());
    for (const std::int64_t chunk : {1, 3, 16, 32, 33}) {
      CHECK(same_bits(batch.in_chunks(chunk).forward(best_context()), expected));
      CHECK(same_bits(batch.without_sharing().in_chunks(chunk).forward(best_context()), expected));
    }
  }
}

TEST_CASE("attention: a sequence's bits do not depend on the sequences beside it") {
  const AttentionBatch batch(gqa_shape(4, 2, 5, 3), kMixed, 4);
  const auto whole = batch.forward(best_context());
  for (std::size_t g = 0; g < batch.groups.size(); ++g) {
    for (std::int64_t m = 0; m < batch.groups[g].num_members; ++m) {
      const AttentionMember& member = batch.members[batch.groups[g].first_member + m];
      const auto alone = batch.only(static_cast<std::int64_t>(g), m).forward(best_context());
      const std::ptrdiff_t begin = member.first_query * 4 * 3;
      const std::ptrdiff_t end = begin + member.num_queries * 4 * 3;
      CHECK(same_bits({alone.begin() + begin, alone.begin() + end},
                      {whole.begin() + begin, whole.begin() + end}));
    }
  }
}

TEST_CASE("attention: control: the softmax merged from two halves of the keys has other bits") {
  // The merge that splits keys over processors: out = (s1 e^(m1-m) out1 + s2 e^(m2-m) out2) / (s1
  // e^(m1-m) + s2 e^(m2-m)).
  const AttentionShape shape = gqa_shape(2, 1, 16, 16);
  AttentionBatch batch(shape, {{.prefix_length = 0, .members = {{63, 1}}}}, 32);
  const auto whole = batch.forward(best_context());
  std::vector<float> out[2], top[2], sum[2];
  for (std::size_t half = 0; half < 2; ++half) {
    AttentionBatch part = batch;
    part.members[0].first_run = static_cast<std::int64_t>(half);
    part.members[0].num_runs = 1;
    part.members[0].own_before = 31;
    out[half].resize(32);
    top[half].resize(2);
    sum[half].resize(2);
    attention(best_context(), {.layout = part.layout(),
                               .shape = shape,
                               .q = part.q.data(),
                               .cache = part.cache.data(),
                               .out = out[half].data(),
                               .row_max = top[half].data(),
                               .row_sum = sum[half].data()});
  }
  std::vector<float> merged;
  for (std::size_t i = 0; i < 32; ++i) {
    const std::size_t h = i / 16;
    const float m = std::max(top[0][h], top[1][h]);
    const float a = sum[0][h] * std::exp(top[0][h] - m);
    const float b = sum[1][h] * std::exp(top[1][h] - m);
    merged.push_back((a * out[0][i] + b * out[1][i]) / (a + b));
  }
  check_close(merged, whole, kFloat);
  CHECK_FALSE(same_bits(merged, whole));
}

TEST_CASE("attention: round_bf16 rounds what is written") {
  const AttentionBatch batch(latent_shape(3, 20, 16), kMixed, 4);
  const auto rounded = same_everywhere([&](const Context& c) { return batch.forward(c, true); });
  CHECK(same_bits(rounded, rounded_to_bf16(batch.forward(best_context()))));
}

}  // namespace
}  // namespace zeroth
