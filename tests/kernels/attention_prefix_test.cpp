// attention.h with prefixes that stand apart: one softmax over keys of two algebras, two sums.
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

// Decode steps, training sequences beyond a block of 32 queries, and a prefix of one key.
const std::vector<GroupSpec> kMixed = {
    {.prefix_length = 37, .members = {{0, 5}, {3, 1}, {20, 17}, {0, 33}}},
    {.prefix_length = 16, .members = {{15, 1}, {16, 1}, {0, 1}}},
    {.prefix_length = 1, .members = {{0, 1}}}};
const std::vector<GroupSpec> kSmall = {{.prefix_length = 3, .members = {{0, 2}, {1, 1}}},
                                       {.prefix_length = 1, .members = {{0, 1}}}};

void append(std::vector<float>& to, const std::vector<float>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

// The same sequences twice: `own` holds latents for the members' keys, `expanded` every head's keys
// and values for the prefixes. Rows of the other kind are NaN in both.
struct ApartBatch {
  ApartBatch(const AttentionShape& own_shape, const AttentionShape& prefix_shape,
             const std::vector<GroupSpec>& specs, std::int64_t page)
      : own(own_shape, specs, page), expanded(prefix_shape, specs, page) {
    expanded.shape.scale = own.shape.scale;
    for (const AttentionGroup& group : own.groups) poison(own, group.first_run, group.num_runs);
    for (const AttentionMember& m : own.members) poison(expanded, m.first_run, m.num_runs);
  }

  static void poison(AttentionBatch& batch, std::int64_t first_run, std::int64_t num_runs) {
    for (std::int64_t r = first_run; r < first_run + num_runs; ++r) {
      std::fill_n(batch.cache.begin() + batch.runs[r].row * batch.shape.cache_row,
                  batch.runs[r].count * batch.shape.cache_row, kNan);
    }
  }

  ApartBatch in_chunks(std::int64_t chunk) const {
    ApartBatch out = *this;
    out.own = own.in_chunks(chunk);
    return out;
  }
  ApartBatch only(std::int64_t group, std::int64_t member) const {
    ApartBatch out = *this;
    out.own = own.only(group, member);
    return out;
  }

  AttentionPrefix prefix() const {
    return {.shape = expanded.shape, .q = expanded.q.data(), .cache = expanded.cache.data()};
  }

  struct Forward {
    std::vector<float> out, prefix_out, row_max, row_sum;
  };
  Forward run(const Context& context, bool round_bf16 = false) const {
    const auto rows = static_cast<std::size_t>(own.num_queries() * own.shape.H);
    Forward f{std::vector<float>(own.dout.size(), kNan),
              std::vector<float>(expanded.dout.size(), kNan), std::vector<float>(rows, kNan),
              std::vector<float>(rows, kNan)};
    AttentionPrefix apart = prefix();
    apart.out = f.prefix_out.data();
    attention(context, {.layout = own.layout(),
                        .shape = own.shape,
                        .q = own.q.data(),
                        .cache = own.cache.data(),
                        .out = f.out.data(),
                        .row_max = f.row_max.data(),
                        .row_sum = f.row_sum.data(),
                        .round_bf16 = round_bf16,
                        .prefix = apart});
    return f;
  }
  std::vector<float> forward(const Context& context) const {
    const Forward f = run(context);
    std::vector<float> all = f.out;
    append(all, f.prefix_out);
    append(all, f.row_max);
    append(all, f.row_sum);
    return all;
  }

  struct Gradients {
    std::vector<float> dq, prefix_dq, dcache, prefix_dcache;
  };
  Gradients backward(const Context& context) const {
    const Forward f = run(context);
    Gradients g{std::vector<float>(own.q.size(), kNan), std::vector<float>(expanded.q.size(), kNan),
                own.empty_gradient(), expanded.empty_gradient()};
    attention_backward(context, {.layout = own.layout(),
                                 .shape = own.shape,
                                 .q = own.q.data(),
                                 .cache = own.cache.data(),
                                 .out = f.out.data(),
                                 .row_max = f.row_max.data(),
                                 .row_sum = f.row_sum.data(),
                                 .dout = own.dout.data(),
                                 .dq = g.dq.data(),
                                 .dcache = g.dcache.data(),
                                 .prefix = prefix(),
                                 .prefix_gradients = {.out = f.prefix_out.data(),
                                                      .dout = expanded.dout.data(),
                                                      .dq = g.prefix_dq.data(),
                                                      .dcache = g.prefix_dcache.data()}});
    return g;
  }

  AttentionBatch own, expanded;
};

std::vector<ApartBatch> batches(const std::vector<GroupSpec>& specs, std::int64_t page) {
  return {{latent_shape(2, 20, 16), gqa_shape(2, 2, 10, 7), specs, page},
          {latent_shape(3, 36, 32), gqa_shape(3, 3, 33, 17), specs, page},
          {latent_shape(1, 3, 2), gqa_shape(1, 1, 1, 1), specs, page}};
}

// In double precision: out, then the prefix's.
Doubles reference(const ApartBatch& batch, const Doubles& q, const Doubles& prefix_q,
                  const Doubles& cache, const Doubles& prefix_cache) {
  const AttentionShape& s = batch.own.shape;
  const AttentionShape& e = batch.expanded.shape;
  const AttentionLayout layout = batch.own.layout();
  Doubles out(batch.own.dout.size());
  Doubles prefix_out(batch.expanded.dout.size());
  for (const AttentionGroup& group : batch.own.groups) {
    for (std::int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
      const AttentionMember& member = layout.members[m];
      for (std::int64_t i = 0; i < member.num_queries * s.H; ++i) {
        const std::int64_t at = member.first_query * s.H + i;
        const std::int64_t h = i % s.H;
        const auto rows = keys_seen(layout, group, member, i / s.H);
        Doubles scores;
        for (std::size_t j = 0; j < rows.size(); ++j) {
          const bool in_prefix = static_cast<std::int64_t>(j) < group.prefix_length;
          const double* x = in_prefix ? &prefix_q[at * e.Dk] : &q[at * s.Dk];
          const double* k = in_prefix ? &prefix_cache[rows[j] * e.cache_row + h * e.k_head]
                                      : &cache[rows[j] * s.cache_row];
          double score = 0.0;
          for (std::int64_t d = 0; d < (in_prefix ? e.Dk : s.Dk); ++d) score += x[d] * k[d];
          scores.push_back(score);
        }
        const Doubles p = reference_softmax(scores.data(), static_cast<std::int64_t>(scores.size()),
                                            static_cast<double>(s.scale));
        for (std::size_t j = 0; j < rows.size(); ++j) {
          const bool in_prefix = static_cast<std::int64_t>(j) < group.prefix_length;
          const double* v = in_prefix
                                ? &prefix_cache[rows[j] * e.cache_row + e.v_offset + h * e.v_head]
                                : &cache[rows[j] * s.cache_row];
          double* to = in_prefix ? &prefix_out[at * e.Dv] : &out[at * s.Dv];
          for (std::int64_t d = 0; d < (in_prefix ? e.Dv : s.Dv); ++d) to[d] += p[j] * v[d];
        }
      }
    }
  }
  out.insert(out.end(), prefix_out.begin(), prefix_out.end());
  return out;
}

TEST_CASE("attention apart: equal scores share the weight between prefix and own key") {
  // Both scores are 0: prefix (k, v) = (0, 6) with query 1; latent (8, 0), whose V is 8, with query
  // (0, 1).
  const float prefix_cache[] = {0, 6};
  const float cache[] = {8, 0};
  const float prefix_q[] = {1};
  const float q[] = {0, 1};
  const KeyRun runs[] = {{.row = 0, .count = 1}, {.row = 0, .count = 1}};
  const AttentionGroup group{.num_runs = 1, .prefix_length = 1, .num_members = 1};
  const AttentionMember member{.num_queries = 1, .first_run = 1, .num_runs = 1};
  const AttentionShape own{.H = 1, .Hkv = 1, .Dk = 2, .Dv = 1, .cache_row = 2};
  const AttentionShape apart{.H = 1, .Hkv = 1, .Dk = 1, .Dv = 1, .cache_row = 2, .v_offset = 1};
  for (const Isa isa : supported_isas()) {
    float out = kNan, prefix_out = kNan, row_max = kNan, row_sum = kNan;
    attention(
        context_of(isa),
        {.layout = {&group, 1, &member, 1, runs},
         .shape = own,
         .q = q,
         .cache = cache,
         .out = &out,
         .row_max = &row_max,
         .row_sum = &row_sum,
         .prefix = {.shape = apart, .q = prefix_q, .cache = prefix_cache, .out = &prefix_out}});
    CHECK(out == 4.0F);
    CHECK(prefix_out == 3.0F);
    CHECK(row_max == 0.0F);
    CHECK(row_sum == 2.0F);
  }
}

TEST_CASE("attention apart: agrees with double precision, and reads no row of the other kind") {
  for (const ApartBatch& batch : batches(kMixed, 4)) {
    auto all = same_everywhere([&](const Context& c) { return batch.forward(c); });
    all.resize(batch.own.dout.size() + batch.expanded.dout.size());
    check_close(all,
                reference(batch, as_doubles(batch.own.q), as_doubles(batch.expanded.q),
                          as_doubles(batch.own.cache), as_doubles(batch.expanded.cache)),
                kFloat);
  }
}

TEST_CASE("attention apart: pages and chunks of queries give the same bits") {
  const auto whole = batches(kMixed, 0);
  for (const std::int64_t page : {1, 4, 33}) {
    const auto paged = batches(kMixed, page);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      const auto expected = whole[i].forward(best_context());
      CHECK(same_bits(paged[i].forward(best_context()), expected));
      for (const std::int64_t chunk : {1, 3, 32}) {
        CHECK(same_bits(paged[i].in_chunks(chunk).forward(best_context()), expected));
      }
    }
  }
}

TEST_CASE("attention apart: a sequence's bits do not depend on the sequences beside it") {
  const ApartBatch batch = batches(kMixed, 4)[0];
  const ApartBatch::Forward whole = batch.run(best_context());
  for (std::size_t g = 0; g < batch.own.groups.size(); ++g) {
    for (std::int64_t m = 0; m < batch.own.groups[g].num_members; ++m) {
      const ApartBatch::Forward alone =
          batch.only(static_cast<std::int64_t>(g), m).run(best_context());
      for (std::size_t i = 0; i < whole.prefix_out.size(); ++i) {
        if (!std::isnan(alone.prefix_out[i])) CHECK(alone.prefix_out[i] == whole.prefix_out[i]);
      }
      for (std::size_t i = 0; i < whole.out.size(); ++i) {
        if (!std::isnan(alone.out[i])) CHECK(alone.out[i] == whole.out[i]);
      }
    }
  }
}

// The keys of every head are the latents themselves: then the softmax is that of one algebra, bit
// for bit, and the sum of the two outputs is its output up to rounding: one chain has become two.
TEST_CASE("attention apart: the same keys on both sides give the softmax of one cache") {
  const AttentionShape latent = latent_shape(3, 20, 16);
  const AttentionBatch plain(latent, kMixed, 4);
  ApartBatch batch(latent, gqa_shape(3, 3, 20, 16), kMixed, 4);
  batch.expanded.q = plain.q;
  const AttentionShape& e = batch.expanded.shape;
  for (const AttentionGroup& group : plain.groups) {
    for (std::int64_t r = group.first_run; r < group.first_run + group.num_runs; ++r) {
      for (std::int64_t row = plain.runs[r].row; row < plain.runs[r].row + plain.runs[r].count;
           ++row) {
        const float* from = plain.cache.data() + row * latent.cache_row;
        float* to = batch.expanded.cache.data() + row * e.cache_row;
        for (std::int64_t h = 0; h < 3; ++h) {
          std::copy_n(from, 20, to + h * e.k_head);
          std::copy_n(from, 16, to + e.v_offset + h * e.v_head);
        }
      }
    }
  }
  const ApartBatch::Forward apart = batch.run(best_context());
  std::vector<float> out(plain.dout.size()), row_max(apart.row_max.size()), row_sum(row_max.size());
  attention(best_context(), {.layout = plain.layout(),
                             .shape = latent,
                             .q = plain.q.data(),
                             .cache = plain.cache.data(),
                             .out = out.data(),
                             .row_max = row_max.data(),
                             .row_sum = row_sum.data()});
  CHECK(same_bits(apart.row_max, row_max));
  CHECK(same_bits(apart.row_sum, row_sum));
  std::vector<float> sum = apart.out;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += apart.prefix_out[i];
  check_close(sum, out, kFloat);
  CHECK_FALSE(same_bits(sum, out));
}

TEST_CASE("attention apart: round_bf16 rounds the own keys' output and not the prefix's") {
  const ApartBatch batch = batches(kMixed, 4)[0];
  const ApartBatch::Forward exact = batch.run(best_context());
  const ApartBatch::Forward rounded = batch.run(best_context(), true);
  CHECK(same_bits(rounded.out, rounded_to_bf16(exact.out)));
  CHECK(same_bits(rounded.prefix_out, exact.prefix_out));
}

void check_gradient(const std::vector<float>& actual, const Doubles& at, const Doubles& expected) {
  std::vector<float> written;
  Doubles wanted;
  bool untouched = true;
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (std::isnan(at[i])) {
      untouched = untouched && std::isnan(actual[i]);
    } else {
      written.push_back(actual[i]);
      wanted.push_back(expected[i]);
    }
  }
  CHECK(untouched);
  check_close(written, wanted, kGradient);
}

TEST_CASE("attention_backward apart: agrees with differences of the reference") {
  for (const ApartBatch& batch : batches(kSmall, 2)) {
    const auto g = batch.backward(best_context());
    Doubles dout = as_doubles(batch.own.dout);
    const Doubles prefix_dout = as_doubles(batch.expanded.dout);
    dout.insert(dout.end(), prefix_dout.begin(), prefix_dout.end());
    const Doubles q = as_doubles(batch.own.q);
    const Doubles prefix_q = as_doubles(batch.expanded.q);
    const Doubles cache = as_doubles(batch.own.cache);
    const Doubles prefix_cache = as_doubles(batch.expanded.cache);
    const auto loss = [&](const Doubles& a, const Doubles& b, const Doubles& c, const Doubles& d) {
      return testing::dot(reference(batch, a, b, c, d), dout);
    };
    check_gradient(g.dq, q, numeric_gradient(q, [&](const Doubles& x) {
                     return loss(x, prefix_q, cache, prefix_cache);
                   }));
    check_gradient(g.prefix_dq, prefix_q, numeric_gradient(prefix_q, [&](const Doubles& x) {
                     return loss(q, x, cache, prefix_cache);
                   }));
    check_gradient(g.dcache, cache, numeric_gradient(cache, [&](const Doubles& x) {
                     return loss(q, prefix_q, x, prefix_cache);
                   }));
    check_gradient(g.prefix_dcache, prefix_cache,
                   numeric_gradient(prefix_cache,
                                    [&](const Doubles& x) { return loss(q, prefix_q, cache, x); }));
  }
}

TEST_CASE("attention_backward apart: the same bits on every instruction set and thread count") {
  for (const ApartBatch& batch : batches(kMixed, 4)) {
    same_everywhere([&](const Context& context) {
      auto g = batch.backward(context);
      append(g.dq, g.prefix_dq);
      append(g.dq, g.dcache);
      append(g.dq, g.prefix_dcache);
      return g.dq;
    });
  }
}

TEST_CASE("attention_backward apart: a prefix gets the members' gradients added in order") {
  const ApartBatch batch = batches(kMixed, 16)[0];
  auto expected = batch.expanded.empty_gradient();
  for (std::size_t g = 0; g < batch.own.groups.size(); ++g) {
    for (std::int64_t m = 0; m < batch.own.groups[g].num_members; ++m) {
      const auto part = batch.only(static_cast<std::int64_t>(g), m).backward(best_context());
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += part.prefix_dcache[i];
    }
  }
  CHECK(same_bits(batch.backward(best_context()).prefix_dcache, expected));
}

}  // namespace
}  // namespace zeroth
