// Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) as Qwen2 and Llama have it.
#include <algorithm>
#include <cstring>

#include "kernels/rope.h"
#include "policy/activations.h"

namespace zeroth {
namespace {

struct Shape {
  explicit Shape(const AttentionConfig& c) : H(c.num_heads), Hkv(c.num_kv_heads), Dh(c.head_dim) {}
  std::int64_t H, Hkv, Dh;
  std::int64_t q_width() const { return H * Dh; }
  std::int64_t kv_width() const { return 2 * Hkv * Dh; }
};

AttentionShape attention_shape(const AttentionConfig& c) {
  const Shape s(c);
  return {.H = s.H,
          .Hkv = s.Hkv,
          .Dk = s.Dh,
          .Dv = s.Dh,
          .cache_row = s.kv_width(),
          .k_head = s.Dh,
          .v_offset = s.Hkv * s.Dh,
          .v_head = s.Dh,
          .scale = static_cast<float>(c.softmax_scale)};
}

void turn_heads(const LayerPass& pass, float* x, std::int64_t width, std::int64_t heads, bool backward) {
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

}  // namespace

void gqa_forward(const LayerPass& pass, LayerActivations& a) {
  const Shape s(pass.config().attention);
  const GqaWeights& w = pass.weights().gqa;
  const bool round = pass.policy.rounds();
  const bool bias = w.q_bias >= 0;
  float* q = a.q.resize(pass.T() * s.q_width());
  float* kv = a.kv.resize(pass.T() * s.kv_width());
  apply_linear(pass, w.q.forward, a.h1.data(), pass.D(), q, s.q_width(), bias ? pass.policy.at(w.q_bias) : nullptr,
               false, round);
  apply_linear(pass, w.kv.forward, a.h1.data(), pass.D(), kv, s.kv_width(), bias ? w.kv_bias.data() : nullptr, false,
               round);
  turn_heads(pass, q, s.q_width(), s.H, false);
  turn_heads(pass, kv, s.kv_width(), s.Hkv, false);
  float* cache = pass.cache.layer(pass.index);
  for (std::int64_t t = 0; t < pass.T(); ++t) {
    std::memcpy(cache + pass.batch.cache_rows[static_cast<std::size_t>(t)] * s.kv_width(), kv + t * s.kv_width(),
                static_cast<std::size_t>(s.kv_width()) * 4);
  }
  attention(pass.context, {.layout = pass.batch.layout(),
                           .shape = attention_shape(pass.config().attention),
                           .q = q,
                           .cache = cache,
                           .out = a.heads.resize(pass.T() * s.q_width()),
                           .row_max = a.row_max.resize(pass.T() * s.H),
                           .row_sum = a.row_sum.resize(pass.T() * s.H),
                           .round_bf16 = round});
  apply_linear(pass, w.o.forward, a.heads.data(), s.q_width(), a.x_mid.data(), pass.D(), nullptr, true, false);
}

namespace {

void bias_gradient(const LayerBackwardPass& pass, const float* dy, std::int64_t width, std::int64_t columns,
                   std::int64_t bias) {
  const LayerPass& f = pass.forward;
  column_gradient(f.context, {.dy = dy,
                              .ldy = width,
                              .N = columns,
                              .segments = f.batch.segments.data(),
                              .num_segments = static_cast<std::int64_t>(f.batch.segments.size()) - 1,
                              .db = pass.gradients + bias});
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
  apply_linear(f, w.o.backward, scratch.dx.data(), f.D(), dheads, s.q_width(), nullptr, false, false);
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
  float* dkv = scratch.c.resize(f.T() * s.kv_width());
  for (std::int64_t t = 0; t < f.T(); ++t) {
    std::memcpy(dkv + t * s.kv_width(),
                pass.dcache.layer(f.index) + f.batch.cache_rows[static_cast<std::size_t>(t)] * s.kv_width(),
                static_cast<std::size_t>(s.kv_width()) * 4);
  }
  turn_heads(f, dq, s.q_width(), s.H, true);
  turn_heads(f, dkv, s.kv_width(), s.Hkv, true);
  add_linear_gradient(pass, w.q, pass.kept.h1.data(), f.D(), dq, s.q_width());
  add_linear_gradient(pass, w.kv, pass.kept.h1.data(), f.D(), dkv, s.kv_width());
  if (w.q_bias >= 0) {
    bias_gradient(pass, dq, s.q_width(), s.q_width(), w.q_bias);
    bias_gradient(pass, dkv, s.kv_width(), s.Hkv * s.Dh, w.k_bias);
    bias_gradient(pass, dkv + s.Hkv * s.Dh, s.kv_width(), s.Hkv * s.Dh, w.v_bias);
  }
  apply_linear(f, w.q.backward, dq, s.q_width(), scratch.dh.data(), f.D(), nullptr, false, false);
  apply_linear(f, w.kv.backward, dkv, s.kv_width(), scratch.dh.data(), f.D(), nullptr, true, false);
}

}  // namespace zeroth
