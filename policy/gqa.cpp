// Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) as Qwen2 and Llama have it, with
// an RMS norm of each q and k head before rope as Qwen3 has (arXiv:2505.09388, section 2), and with
// rope on the first part of a head as GLM-4.5 has (arXiv:2508.06471).
#include <cstring>

#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "policy/activations.h"

namespace zeroth {
namespace {

struct Shape {
  explicit Shape(const AttentionConfig& c) : H(c.num_heads), Hkv(c.num_kv_heads), Dh(c.head_dim) {}
  std::int64_t H, Hkv, Dh;
  std::int64_t q_width() const { return H * Dh; }
  std::int64_t k_width() const { return Hkv * Dh; }
  std::int64_t kv_width() const { return 2 * k_width(); }
};

AttentionShape attention_shape(const AttentionConfig& c) {
  const Shape s(c);
  return {.H = s.H,
          .Hkv = s.Hkv,
          .Dk = s.Dh,
          .Dv = s.Dh,
          .cache_row = s.kv_width(),
          .k_head = s.Dh,
          .v_offset = s.k_width(),
          .v_head = s.Dh,
          .scale = static_cast<float>(c.softmax_scale)};
}

void turn_heads(const LayerPass& pass, float* x, std::int64_t width, std::int64_t heads,
                bool backward) {
  const AttentionConfig& c = pass.config().attention;
  rope(pass.context, {.x = x,
                      .row = width,
                      .head = c.head_dim,
                      .num_heads = heads,
                      .T = pass.T(),
                      .dim = c.rope.dim,
                      .positions = pass.batch.positions.data(),
                      .cos = pass.policy.rope_cos(pass.index),
                      .sin = pass.policy.rope_sin(pass.index),
                      .interleaved = c.rope.interleaved,
                      .backward = backward,
                      .round_bf16 = !backward && pass.policy.rounds()});
}

void copy_columns(std::int64_t T, const float* from, std::int64_t from_width, float* to,
                  std::int64_t to_width, std::int64_t columns) {
  for (std::int64_t t = 0; t < T; ++t) {
    std::memcpy(to + t * to_width, from + t * from_width, static_cast<std::size_t>(columns) * 4);
  }
}

// Each head of x [T, heads * head_dim] -> y, which may be x; the norm's weight is shared by the
// heads.
void normalize_heads(const LayerPass& pass, const float* x, std::int64_t heads, std::int64_t norm,
                     float* y, Buffer& rstd) {
  const std::int64_t Dh = pass.config().attention.head_dim;
  rms_norm(pass.context, {.x = x,
                          .ldx = Dh,
                          .gamma = pass.policy.at(norm),
                          .y = y,
                          .ldy = Dh,
                          .rstd = rstd.resize(pass.T() * heads),
                          .T = pass.T() * heads,
                          .D = Dh,
                          .eps = static_cast<float>(pass.policy.config().rms_norm_eps),
                          .round_bf16 = pass.policy.rounds()});
}

void queries(const LayerPass& pass, LayerActivations& a) {
  const Shape s(pass.config().attention);
  const GqaWeights& w = pass.weights().gqa;
  const bool norm = w.q_norm >= 0;
  float* q = a.q.resize(pass.T() * s.q_width());
  float* raw = norm ? a.q_raw.resize(pass.T() * s.q_width()) : q;
  apply_linear(pass, w.q.forward, a.h1.data(), pass.D(), raw, s.q_width(),
               w.q_bias >= 0 ? pass.policy.at(w.q_bias) : nullptr, false, pass.policy.rounds());
  if (norm) normalize_heads(pass, raw, s.H, w.q_norm, q, a.rstd_q);
  turn_heads(pass, q, s.q_width(), s.H, false);
}

void keys_and_values(const LayerPass& pass, LayerActivations& a) {
  const Shape s(pass.config().attention);
  const GqaWeights& w = pass.weights().gqa;
  float* kv = a.kv.resize(pass.T() * s.kv_width());
  apply_linear(pass, w.kv.forward, a.h1.data(), pass.D(), kv, s.kv_width(),
               w.kv_bias.empty() ? nullptr : w.kv_bias.data(), false, pass.policy.rounds());
  float* k = kv;
  std::int64_t k_row = s.kv_width();
  if (w.k_norm >= 0) {
    k = a.k.resize(pass.T() * s.k_width());
    k_row = s.k_width();
    copy_columns(pass.T(), kv, s.kv_width(), k, k_row, s.k_width());
    normalize_heads(pass, k, s.Hkv, w.k_norm, k, a.rstd_kv);
  }
  turn_heads(pass, k, k_row, s.Hkv, false);
  const std::size_t bytes = static_cast<std::size_t>(s.k_width()) * 4;
  for (std::int64_t t = 0; t < pass.T(); ++t) {
    float* row = pass.cache.layer(pass.index) +
                 pass.batch.cache_rows[static_cast<std::size_t>(t)] * s.kv_width();
    std::memcpy(row, k + t * k_row, bytes);
    std::memcpy(row + s.k_width(), kv + t * s.kv_width() + s.k_width(), bytes);
  }
}

}  // namespace

void gqa_forward(const LayerPass& pass, LayerActivations& a) {
  const Shape s(pass.config().attention);
  queries(pass, a);
  keys_and_values(pass, a);
  attention(pass.context, {.layout = pass.batch.layout(),
                           .shape = attention_shape(pass.config().attention),
                           .q = a.q.data(),
                           .cache = pass.cache.layer(pass.index),
                           .out = a.heads.resize(pass.T() * s.q_width()),
                           .row_max = a.row_max.resize(pass.T() * s.H),
                           .row_sum = a.row_sum.resize(pass.T() * s.H),
                           .round_bf16 = pass.policy.rounds()});
  apply_linear(pass, pass.weights().gqa.o.forward, a.heads.data(), s.q_width(), a.x_mid.data(),
               pass.D(), nullptr, true, false);
}

namespace {

void bias_gradient(const LayerBackwardPass& pass, const float* dy, std::int64_t width,
                   std::int64_t columns, std::int64_t bias) {
  const LayerPass& f = pass.forward;
  column_gradient(f.context,
                  {.dy = dy,
                   .ldy = width,
                   .N = columns,
                   .segments = f.batch.segments.data(),
                   .num_segments = static_cast<std::int64_t>(f.batch.segments.size()) - 1,
                   .db = pass.gradients + bias});
}

// d [T, heads * head_dim] is the gradient of the normed heads and becomes that of `raw`. The norm's
// weight receives one sum over the tokens and heads of each sequence, in order of the sequences, as
// every other weight does.
void normalize_heads_backward(const LayerBackwardPass& pass, const float* raw, const Buffer& rstd,
                              std::int64_t heads, std::int64_t norm, float* d) {
  const LayerPass& f = pass.forward;
  const std::int64_t Dh = f.config().attention.head_dim;
  std::vector<std::int64_t>& segments = pass.scratch.head_segments;
  segments.clear();
  for (const std::int64_t token : f.batch.segments) segments.push_back(token * heads);
  column_gradient(f.context, {.dy = d,
                              .ldy = Dh,
                              .x = raw,
                              .ldx = Dh,
                              .scale = rstd.data(),
                              .N = Dh,
                              .segments = segments.data(),
                              .num_segments = static_cast<std::int64_t>(segments.size()) - 1,
                              .db = pass.gradients + norm});
  rms_norm_backward(f.context, {.x = raw,
                                .ldx = Dh,
                                .gamma = f.policy.at(norm),
                                .rstd = rstd.data(),
                                .dy = d,
                                .ldy = Dh,
                                .dx = d,
                                .lddx = Dh,
                                .T = f.T() * heads,
                                .D = Dh});
}

// dq -> dh (written).
void query_backward(const LayerBackwardPass& pass, float* dq) {
  const LayerPass& f = pass.forward;
  const Shape s(f.config().attention);
  const GqaWeights& w = f.weights().gqa;
  turn_heads(f, dq, s.q_width(), s.H, true);
  if (w.q_norm >= 0) {
    normalize_heads_backward(pass, pass.kept.q_raw.data(), pass.kept.rstd_q, s.H, w.q_norm, dq);
  }
  add_linear_gradient(pass, w.q, pass.kept.h1.data(), f.D(), dq, s.q_width());
  if (w.q_bias >= 0) bias_gradient(pass, dq, s.q_width(), s.q_width(), w.q_bias);
  apply_linear(f, w.q.backward, dq, s.q_width(), pass.scratch.dh.data(), f.D(), nullptr, false,
               false);
}

// The keys of dkv, through the norm: it takes its rows side by side, so they leave dkv and return
// to it.
void key_norm_backward(const LayerBackwardPass& pass, float* dkv) {
  const LayerPass& f = pass.forward;
  const Shape s(f.config().attention);
  float* raw = pass.scratch.a.resize(f.T() * s.k_width());
  float* dk = pass.scratch.d.resize(f.T() * s.k_width());
  copy_columns(f.T(), pass.kept.kv.data(), s.kv_width(), raw, s.k_width(), s.k_width());
  copy_columns(f.T(), dkv, s.kv_width(), dk, s.k_width(), s.k_width());
  normalize_heads_backward(pass, raw, pass.kept.rstd_kv, s.Hkv, f.weights().gqa.k_norm, dk);
  copy_columns(f.T(), dk, s.k_width(), dkv, s.kv_width(), s.k_width());
}

// dcache rows -> dh (added).
void key_value_backward(const LayerBackwardPass& pass, float* dkv) {
  const LayerPass& f = pass.forward;
  const Shape s(f.config().attention);
  const GqaWeights& w = f.weights().gqa;
  const float* dcache = pass.dcache.layer(f.index);
  for (std::int64_t t = 0; t < f.T(); ++t) {
    std::memcpy(dkv + t * s.kv_width(),
                dcache + f.batch.cache_rows[static_cast<std::size_t>(t)] * s.kv_width(),
                static_cast<std::size_t>(s.kv_width()) * 4);
  }
  turn_heads(f, dkv, s.kv_width(), s.Hkv, true);
  if (w.k_norm >= 0) key_norm_backward(pass, dkv);
  add_linear_gradient(pass, w.kv, pass.kept.h1.data(), f.D(), dkv, s.kv_width());
  if (w.k_bias >= 0) {
    bias_gradient(pass, dkv, s.kv_width(), s.k_width(), w.k_bias);
    bias_gradient(pass, dkv + s.k_width(), s.kv_width(), s.k_width(), w.v_bias);
  }
  apply_linear(f, w.kv.backward, dkv, s.kv_width(), pass.scratch.dh.data(), f.D(), nullptr, true,
               false);
}

}  // namespace

void gqa_backward(const LayerBackwardPass& pass) {
  const LayerPass& f = pass.forward;
  const Shape s(f.config().attention);
  const GqaWeights& w = f.weights().gqa;
  BackwardScratch& scratch = pass.scratch;
  float* dheads = scratch.a.resize(f.T() * s.q_width());
  float* dq = scratch.b.resize(f.T() * s.q_width());
  add_linear_gradient(pass, w.o, pass.kept.heads.data(), s.q_width(), scratch.dx.data(), f.D());
  apply_linear(f, w.o.backward, scratch.dx.data(), f.D(), dheads, s.q_width(), nullptr, false,
               false);
  attention_backward(f.context, {.layout = f.batch.layout(),
                                 .shape = attention_shape(f.config().attention),
                                 .q = pass.kept.q.data(),
                                 .cache = f.cache.layer(f.index),
                                 .out = pass.kept.heads.data(),
                                 .row_max = pass.kept.row_max.data(),
                                 .row_sum = pass.kept.row_sum.data(),
                                 .dout = dheads,
                                 .dq = dq,
                                 .dcache = pass.dcache.layer(f.index)});
  query_backward(pass, dq);
  key_value_backward(pass, scratch.c.resize(f.T() * s.kv_width()));
}

}  // namespace zeroth
