// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1), absorbed: queries are
// taken into the latent space, so that the cache of latents serves as keys and values of all heads.
// One algebra for prompt, completion, sampling and training; in bf16 the expanded form would give
// other bits.
#include <algorithm>
#include <cstring>

#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "policy/activations.h"

namespace zeroth {
namespace {

struct Shape {
  explicit Shape(const AttentionConfig& c)
      : H(c.num_heads),
        nope(c.qk_nope_head_dim),
        rope(c.qk_rope_head_dim),
        v(c.v_head_dim),
        R(c.kv_lora_rank) {}
  std::int64_t H, nope, rope, v, R;
  std::int64_t qk() const { return nope + rope; }
  std::int64_t latent() const { return R + rope; }
};

AttentionShape attention_shape(const AttentionConfig& c) {
  const Shape s(c);
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

RopeArgs rope_args(const LayerPass& pass, float* x, std::int64_t row, std::int64_t head,
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

// Copies the rope part of every head between [T, H, from_width] and [T, H, to_width].
void copy_rope_part(std::int64_t rows, const float* from, std::int64_t from_width,
                    std::int64_t from_at, float* to, std::int64_t to_width, std::int64_t to_at,
                    std::int64_t rope) {
  for (std::int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * to_width + to_at, from + i * from_width + from_at,
                static_cast<std::size_t>(rope) * 4);
  }
}

void queries(const LayerPass& pass, LayerActivations& a) {
  const AttentionConfig& c = pass.config().attention;
  const MlaWeights& w = pass.weights().mla;
  const Shape s(c);
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
  RopeArgs turn = rope_args(pass, q + s.nope, width, s.qk(), s.H);
  turn.round_bf16 = round;
  rope(pass.context, turn);
  float* full = a.q_full.resize(pass.T() * s.H * s.latent());
  for (std::int64_t h = 0; h < s.H; ++h) {
    apply_linear(pass, w.uk[static_cast<std::size_t>(h)].forward, q + h * s.qk(), width,
                 full + h * s.latent(), s.H * s.latent(), nullptr, false, round);
  }
  copy_rope_part(pass.T() * s.H, q, s.qk(), s.nope, full, s.latent(), s.R, s.rope);
}

void latents(const LayerPass& pass, LayerActivations& a) {
  const AttentionConfig& c = pass.config().attention;
  const MlaWeights& w = pass.weights().mla;
  const Shape s(c);
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
  RopeArgs turn = rope_args(pass, kv + s.R, width, 0, 1);
  turn.round_bf16 = round;
  rope(pass.context, turn);
  float* cache = pass.cache.layer(pass.index);
  for (std::int64_t t = 0; t < pass.T(); ++t) {
    std::memcpy(cache + pass.batch.cache_rows[static_cast<std::size_t>(t)] * width, kv + t * width,
                static_cast<std::size_t>(width) * 4);
  }
}

}  // namespace

void mla_forward(const LayerPass& pass, LayerActivations& a) {
  const Shape s(pass.config().attention);
  const MlaWeights& w = pass.weights().mla;
  const bool round = pass.policy.rounds();
  queries(pass, a);
  latents(pass, a);
  attention(pass.context, {.layout = pass.batch.layout(),
                           .shape = attention_shape(pass.config().attention),
                           .q = a.q_full.data(),
                           .cache = pass.cache.layer(pass.index),
                           .out = a.attended.resize(pass.T() * s.H * s.R),
                           .row_max = a.row_max.resize(pass.T() * s.H),
                           .row_sum = a.row_sum.resize(pass.T() * s.H),
                           .round_bf16 = round});
  float* heads = a.heads.resize(pass.T() * s.H * s.v);
  for (std::int64_t h = 0; h < s.H; ++h) {
    apply_linear(pass, w.uv[static_cast<std::size_t>(h)].forward, a.attended.data() + h * s.R,
                 s.H * s.R, heads + h * s.v, s.H * s.v, nullptr, false, round);
  }
  apply_linear(pass, w.o.forward, heads, s.H * s.v, a.x_mid.data(), pass.D(), nullptr, true, false);
}

namespace {

// Gradient of the value half of kv_b and of the latent outputs: heads -> attended.
void value_backward(const LayerBackwardPass& pass, const float* dheads, float* dattended) {
  const LayerPass& f = pass.forward;
  const Shape s(f.config().attention);
  const MlaWeights& w = f.weights().mla;
  for (std::int64_t h = 0; h < s.H; ++h) {
    apply_linear(f, w.uv[static_cast<std::size_t>(h)].backward, dheads + h * s.v, s.H * s.v,
                 dattended + h * s.R, s.H * s.R, nullptr, false, false);
    float* dw = pass.gradients + w.kv_b + (h * (s.nope + s.v) + s.nope) * s.R;
    weight_gradient(f.context,
                    {.x = pass.kept.attended.data() + h * s.R,
                     .ldx = s.H * s.R,
                     .dy = dheads + h * s.v,
                     .ldy = s.H * s.v,
                     .N = s.v,
                     .K = s.R,
                     .segments = f.batch.segments.data(),
                     .num_segments = static_cast<std::int64_t>(f.batch.segments.size()) - 1,
                     .dw = &dw});
  }
}

// Gradient of the key half of kv_b and of q: q_full -> q, turned back.
void absorb_backward(const LayerBackwardPass& pass, const float* dfull, float* dq) {
  const LayerPass& f = pass.forward;
  const Shape s(f.config().attention);
  const MlaWeights& w = f.weights().mla;
  for (std::int64_t h = 0; h < s.H; ++h) {
    apply_linear(f, w.uk[static_cast<std::size_t>(h)].backward, dfull + h * s.latent(),
                 s.H * s.latent(), dq + h * s.qk(), s.H * s.qk(), nullptr, false, false);
    float* dw = pass.gradients + w.kv_b + h * (s.nope + s.v) * s.R;
    weight_gradient(f.context,
                    {.x = dfull + h * s.latent(),
                     .ldx = s.H * s.latent(),
                     .dy = pass.kept.q.data() + h * s.qk(),
                     .ldy = s.H * s.qk(),
                     .N = s.nope,
                     .K = s.R,
                     .segments = f.batch.segments.data(),
                     .num_segments = static_cast<std::int64_t>(f.batch.segments.size()) - 1,
                     .dw = &dw});
  }
  copy_rope_part(f.T() * s.H, dfull, s.latent(), s.R, dq, s.qk(), s.nope, s.rope);
  RopeArgs turn = rope_args(f, dq + s.nope, s.H * s.qk(), s.qk(), s.H);
  turn.backward = true;
  rope(f.context, turn);
}

void norm_weight_gradient(const LayerBackwardPass& pass, const float* dy, const float* x,
                          std::int64_t width, std::int64_t columns, const float* rstd,
                          std::int64_t norm) {
  const LayerPass& f = pass.forward;
  column_gradient(f.context,
                  {.dy = dy,
                   .ldy = width,
                   .x = x,
                   .ldx = width,
                   .scale = rstd,
                   .N = columns,
                   .segments = f.batch.segments.data(),
                   .num_segments = static_cast<std::int64_t>(f.batch.segments.size()) - 1,
                   .db = pass.gradients + norm});
}

// dq -> dh (written).
void query_backward(const LayerBackwardPass& pass, const float* dq, float* dlora) {
  const LayerPass& f = pass.forward;
  const AttentionConfig& c = f.config().attention;
  const MlaWeights& w = f.weights().mla;
  const Shape s(c);
  const std::int64_t width = s.H * s.qk();
  float* dh = pass.scratch.dh.data();
  if (c.q_lora_rank == 0) {
    add_linear_gradient(pass, w.q, pass.kept.h1.data(), f.D(), dq, width);
    apply_linear(f, w.q.backward, dq, width, dh, f.D(), nullptr, false, false);
    return;
  }
  const std::int64_t rank = c.q_lora_rank;
  add_linear_gradient(pass, w.q_b, pass.kept.q_a_normed.data(), rank, dq, width);
  apply_linear(f, w.q_b.backward, dq, width, dlora, rank, nullptr, false, false);
  norm_weight_gradient(pass, dlora, pass.kept.q_a.data(), rank, rank, pass.kept.rstd_q.data(),
                       w.q_a_norm);
  rms_norm_backward(f.context, {.x = pass.kept.q_a.data(),
                                .ldx = rank,
                                .gamma = f.policy.at(w.q_a_norm),
                                .rstd = pass.kept.rstd_q.data(),
                                .dy = dlora,
                                .ldy = rank,
                                .dx = dlora,
                                .lddx = rank,
                                .T = f.T(),
                                .D = rank});
  add_linear_gradient(pass, w.q, pass.kept.h1.data(), f.D(), dlora, rank);
  apply_linear(f, w.q.backward, dlora, rank, dh, f.D(), nullptr, false, false);
}

// dcache rows -> dh (added).
void latent_backward(const LayerBackwardPass& pass, float* dkv) {
  const LayerPass& f = pass.forward;
  const MlaWeights& w = f.weights().mla;
  const Shape s(f.config().attention);
  const std::int64_t width = s.latent();
  const float* dcache = pass.dcache.layer(f.index);
  for (std::int64_t t = 0; t < f.T(); ++t) {
    std::memcpy(dkv + t * width, dcache + f.batch.cache_rows[static_cast<std::size_t>(t)] * width,
                static_cast<std::size_t>(width) * 4);
  }
  RopeArgs turn = rope_args(f, dkv + s.R, width, 0, 1);
  turn.backward = true;
  rope(f.context, turn);
  norm_weight_gradient(pass, dkv, pass.kept.kv_raw.data(), width, s.R, pass.kept.rstd_kv.data(),
                       w.kv_a_norm);
  rms_norm_backward(f.context, {.x = pass.kept.kv_raw.data(),
                                .ldx = width,
                                .gamma = f.policy.at(w.kv_a_norm),
                                .rstd = pass.kept.rstd_kv.data(),
                                .dy = dkv,
                                .ldy = width,
                                .dx = dkv,
                                .lddx = width,
                                .T = f.T(),
                                .D = s.R});
  add_linear_gradient(pass, w.kv_a, pass.kept.h1.data(), f.D(), dkv, width);
  apply_linear(f, w.kv_a.backward, dkv, width, pass.scratch.dh.data(), f.D(), nullptr, true, false);
}

}  // namespace

void mla_backward(const LayerBackwardPass& pass) {
  const LayerPass& f = pass.forward;
  const AttentionConfig& c = f.config().attention;
  const MlaWeights& w = f.weights().mla;
  const Shape s(c);
  BackwardScratch& scratch = pass.scratch;
  float* dheads = scratch.a.resize(f.T() * s.H * s.v);
  float* dattended = scratch.b.resize(f.T() * s.H * s.R);
  float* dfull = scratch.c.resize(f.T() * s.H * s.latent());
  add_linear_gradient(pass, w.o, pass.kept.heads.data(), s.H * s.v, scratch.dx.data(), f.D());
  apply_linear(f, w.o.backward, scratch.dx.data(), f.D(), dheads, s.H * s.v, nullptr, false, false);
  value_backward(pass, dheads, dattended);
  attention_backward(f.context, {.layout = f.batch.layout(),
                                 .shape = attention_shape(c),
                                 .q = pass.kept.q_full.data(),
                                 .cache = f.cache.layer(f.index),
                                 .out = pass.kept.attended.data(),
                                 .row_max = pass.kept.row_max.data(),
                                 .row_sum = pass.kept.row_sum.data(),
                                 .dout = dattended,
                                 .dq = dfull,
                                 .dcache = pass.dcache.layer(f.index)});
  float* dq = scratch.b.resize(f.T() * s.H * s.qk());
  absorb_backward(pass, dfull, dq);
  query_backward(pass, dq, scratch.a.resize(f.T() * std::max<std::int64_t>(1, c.q_lora_rank)));
  latent_backward(pass, scratch.c.resize(f.T() * s.latent()));
}

}  // namespace zeroth
