#include "policy/mla.h"

#include <cstring>

#include "kernels/rms_norm.h"

namespace zeroth {

AttentionLayout MlaPart::layout(const ForwardBatch& batch) const {
  return {.groups = groups.data(),
          .num_groups = static_cast<std::int64_t>(groups.size()),
          .members = members.data(),
          .num_members = static_cast<std::int64_t>(members.size()),
          .runs = batch.runs.data()};
}

namespace {

void append_group(const ForwardBatch& batch, const AttentionGroup& group, MlaPart& part) {
  part.groups.push_back(group);
  part.groups.back().first_member = static_cast<std::int64_t>(part.members.size());
  for (std::int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
    const AttentionMember& member = batch.members[static_cast<std::size_t>(m)];
    part.members.push_back(member);
    if (part.rows.empty() ||
        part.rows.back().first + part.rows.back().count != member.first_query) {
      part.rows.push_back({member.first_query, 0});
    }
    part.rows.back().count += member.num_queries;
  }
}

}  // namespace

MlaPart prompts_of(const ForwardBatch& batch) {
  MlaPart part;
  for (const AttentionGroup& group : batch.groups) {
    if (group.prefix_length == 0) append_group(batch, group, part);
  }
  return part;
}

MlaPart completions_of(const ForwardBatch& batch) {
  MlaPart part;
  for (const AttentionGroup& group : batch.groups) {
    if (group.prefix_length > 0) append_group(batch, group, part);
  }
  return part;
}

AttentionShape absorbed_shape(const AttentionConfig& c) {
  const MlaShape s(c);
  return {.H = s.H,
          .Hkv = 1,
          .Dk = s.latent(),
          .Dv = s.R,
          .cache_row = s.latent(),
          .k_head = 0,
          .v_offset = 0,
          .v_head = 0,
          .scale = static_cast<float>(c.softmax_scale)};
}

AttentionShape expanded_shape(const AttentionConfig& c) {
  const MlaShape s(c);
  const std::int64_t head = s.qk() + s.v;
  return {.H = s.H,
          .Hkv = s.H,
          .Dk = s.qk(),
          .Dv = s.v,
          .cache_row = s.H * head,
          .k_head = head,
          .v_offset = s.qk(),
          .v_head = head,
          .scale = static_cast<float>(c.softmax_scale)};
}

RopeArgs mla_rope(const LayerPass& pass, float* x, std::int64_t row, std::int64_t head,
                  std::int64_t heads) {
  const AttentionConfig& c = pass.config().attention;
  return {.x = x,
          .row = row,
          .head = head,
          .num_heads = heads,
          .T = pass.T(),
          .dim = c.qk_rope_head_dim,
          .positions = pass.batch.positions.data(),
          .cos = pass.policy.rope_cos(pass.index),
          .sin = pass.policy.rope_sin(pass.index),
          .interleaved = c.rope.interleaved};
}

void copy_rope_part(std::int64_t rows, const float* from, std::int64_t from_width,
                    std::int64_t from_at, float* to, std::int64_t to_width, std::int64_t to_at,
                    std::int64_t rope) {
  for (std::int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * to_width + to_at, from + i * from_width + from_at,
                static_cast<std::size_t>(rope) * 4);
  }
}

namespace {

// q [T, H, nope + rope], turned.
void queries(const LayerPass& pass, LayerActivations& a) {
  const AttentionConfig& c = pass.config().attention;
  const MlaWeights& w = pass.weights().mla;
  const MlaShape s(c);
  const std::int64_t width = s.H * s.qk();
  const bool round = pass.policy.rounds();
  float* q = a.q.resize(pass.T() * width);
  if (c.q_lora_rank > 0) {
    const std::int64_t rank = c.q_lora_rank;
    float* q_a = a.q_a.resize(pass.T() * rank);
    apply_linear(pass, w.q.forward, a.h1.data(), pass.D(), q_a, rank, nullptr, false, round);
    rms_norm(pass.context, {.x = q_a,
                            .ldx = rank,
                            .gamma = pass.policy.at(w.q_a_norm),
                            .y = a.q_a_normed.resize(pass.T() * rank),
                            .ldy = rank,
                            .rstd = a.rstd_q.resize(pass.T()),
                            .T = pass.T(),
                            .D = rank,
                            .eps = static_cast<float>(c.lora_norm_eps),
                            .round_bf16 = round});
    apply_linear(pass, w.q_b.forward, a.q_a_normed.data(), rank, q, width, nullptr, false, round);
  } else {
    apply_linear(pass, w.q.forward, a.h1.data(), pass.D(), q, width, nullptr, false, round);
  }
  RopeArgs turn = mla_rope(pass, q + s.nope, width, s.qk(), s.H);
  turn.round_bf16 = round;
  rope(pass.context, turn);
}

// kv [T, R + rope]: the latent, normed, and the rope key, turned.
void latents(const LayerPass& pass, LayerActivations& a) {
  const AttentionConfig& c = pass.config().attention;
  const MlaWeights& w = pass.weights().mla;
  const MlaShape s(c);
  const std::int64_t width = s.latent();
  const bool round = pass.policy.rounds();
  float* raw = a.kv_raw.resize(pass.T() * width);
  float* kv = a.kv.resize(pass.T() * width);
  apply_linear(pass, w.kv_a.forward, a.h1.data(), pass.D(), raw, width, nullptr, false, round);
  rms_norm(pass.context, {.x = raw,
                          .ldx = width,
                          .gamma = pass.policy.at(w.kv_a_norm),
                          .y = kv,
                          .ldy = width,
                          .rstd = a.rstd_kv.resize(pass.T()),
                          .T = pass.T(),
                          .D = s.R,
                          .eps = static_cast<float>(c.lora_norm_eps),
                          .round_bf16 = round});
  copy_rope_part(pass.T(), raw, width, s.R, kv, width, s.R, s.rope);
  RopeArgs turn = mla_rope(pass, kv + s.R, width, 0, 1);
  turn.round_bf16 = round;
  rope(pass.context, turn);
}

// apply_linear on some of the tokens.
void linear_rows(const LayerPass& pass, const TokenRows& rows, const PackedWeight& weight,
                 const float* x, std::int64_t ldx, float* y, std::int64_t ldy, bool add) {
  gemm(pass.context, {.x = x + rows.first * ldx,
                      .ldx = ldx,
                      .M = rows.count,
                      .weights = &weight,
                      .y = y + rows.first * ldy,
                      .ldy = ldy,
                      .add_to_y = add,
                      .round_bf16 = pass.policy.rounds()});
}

// q -> q_full [T, H, R + rope]
void absorb(const LayerPass& pass, const TokenRows& rows, LayerActivations& a) {
  const MlaShape s(pass.config().attention);
  const std::int64_t width = s.H * s.qk();
  const std::int64_t full_width = s.H * s.latent();
  for (std::int64_t h = 0; h < s.H; ++h) {
    linear_rows(pass, rows, pass.weights().mla.uk[static_cast<std::size_t>(h)].forward,
                a.q.data() + h * s.qk(), width, a.q_full.data() + h * s.latent(), full_width,
                false);
  }
  copy_rope_part(rows.count * s.H, a.q.data() + rows.first * width, s.qk(), s.nope,
                 a.q_full.data() + rows.first * full_width, s.latent(), s.R, s.rope);
}

void cache_latents(const LayerPass& pass, const TokenRows& rows, const LayerActivations& a) {
  const std::int64_t width = pass.cache.width(pass.index);
  float* cache = pass.cache.layer(pass.index);
  for (std::int64_t t = rows.first; t < rows.first + rows.count; ++t) {
    std::memcpy(cache + pass.batch.cache_rows[static_cast<std::size_t>(t)] * width,
                a.kv.data() + t * width, static_cast<std::size_t>(width) * 4);
  }
}

// kv -> the prompts' cache rows
void cache_expanded(const LayerPass& pass, const TokenRows& rows, LayerActivations& a) {
  const MlaShape s(pass.config().attention);
  const AttentionShape shape = expanded_shape(pass.config().attention);
  linear_rows(pass, rows, pass.weights().mla.expand.forward, a.kv.data(), s.latent(),
              a.expanded.data(), s.kv_b(), false);
  for (std::int64_t t = rows.first; t < rows.first + rows.count; ++t) {
    const float* from = a.expanded.data() + t * s.kv_b();
    const float* rope = a.kv.data() + t * s.latent() + s.R;
    float* to = pass.cache.prompts(pass.index) +
                pass.batch.cache_rows[static_cast<std::size_t>(t)] * shape.cache_row;
    for (std::int64_t h = 0; h < s.H; ++h, from += s.nope + s.v, to += shape.k_head) {
      std::memcpy(to, from, static_cast<std::size_t>(s.nope) * 4);
      std::memcpy(to + s.nope, rope, static_cast<std::size_t>(s.rope) * 4);
      std::memcpy(to + s.qk(), from + s.nope, static_cast<std::size_t>(s.v) * 4);
    }
  }
}

void attend_expanded(const LayerPass& pass, const MlaPart& part, LayerActivations& a) {
  if (part.empty()) return;
  a.expanded.resize(pass.T() * MlaShape(pass.config().attention).kv_b());
  for (const TokenRows& rows : part.rows) cache_expanded(pass, rows, a);
  attention(pass.context, {.layout = part.layout(pass.batch),
                           .shape = expanded_shape(pass.config().attention),
                           .q = a.q.data(),
                           .cache = pass.cache.prompts(pass.index),
                           .out = a.heads.data(),
                           .row_max = a.row_max.data(),
                           .row_sum = a.row_sum.data(),
                           .round_bf16 = pass.policy.rounds()});
}

// With `over_expanded` the prefixes of the groups are expanded.
void attend_absorbed(const LayerPass& pass, const AttentionLayout& layout,
                     const std::vector<TokenRows>& parts, bool over_expanded, LayerActivations& a) {
  if (layout.num_groups == 0) return;
  const MlaShape s(pass.config().attention);
  a.q_full.resize(pass.T() * s.H * s.latent());
  for (const TokenRows& rows : parts) {
    absorb(pass, rows, a);
    cache_latents(pass, rows, a);
  }
  AttentionArgs args{.layout = layout,
                     .shape = absorbed_shape(pass.config().attention),
                     .q = a.q_full.data(),
                     .cache = pass.cache.layer(pass.index),
                     .out = a.attended.resize(pass.T() * s.H * s.R),
                     .row_max = a.row_max.data(),
                     .row_sum = a.row_sum.data(),
                     .round_bf16 = pass.policy.rounds()};
  if (over_expanded) {
    args.prefix = {.shape = expanded_shape(pass.config().attention),
                   .q = a.q.data(),
                   .cache = pass.cache.prompts(pass.index),
                   .out = a.prefix_heads.resize(pass.T() * s.H * s.v)};
  }
  attention(pass.context, args);
  const std::int64_t width = s.H * s.v;
  for (const TokenRows& rows : parts) {
    if (over_expanded) {
      std::memcpy(a.heads.data() + rows.first * width, a.prefix_heads.data() + rows.first * width,
                  static_cast<std::size_t>(rows.count * width) * 4);
    }
    for (std::int64_t h = 0; h < s.H; ++h) {
      linear_rows(pass, rows, pass.weights().mla.uv[static_cast<std::size_t>(h)].forward,
                  a.attended.data() + h * s.R, s.H * s.R, a.heads.data() + h * s.v, width,
                  over_expanded);
    }
  }
}

}  // namespace

void mla_forward(const LayerPass& pass, LayerActivations& a) {
  const MlaShape s(pass.config().attention);
  queries(pass, a);
  latents(pass, a);
  a.row_max.resize(pass.T() * s.H);
  a.row_sum.resize(pass.T() * s.H);
  a.heads.resize(pass.T() * s.H * s.v);
  if (pass.config().attention.mla_prefix == MlaPrefix::expanded) {
    attend_expanded(pass, prompts_of(pass.batch), a);
    const MlaPart completions = completions_of(pass.batch);
    attend_absorbed(pass, completions.layout(pass.batch), completions.rows, true, a);
  } else {
    attend_absorbed(pass, pass.batch.layout(), {{0, pass.T()}}, false, a);
  }
  apply_linear(pass, pass.weights().mla.o.forward, a.heads.data(), s.H * s.v, a.x_mid.data(),
               pass.D(), nullptr, true, false);
}

}  // namespace zeroth
