// The backward pass of multi-head latent attention. A pass to be trained on holds prompts only, or
// completions only, so that one algebra applies to all of it (mla.h).
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "kernels/rms_norm.h"
#include "policy/mla.h"

namespace zeroth {
namespace {

bool is_expanded(const LayerPass& pass) {
  return pass.config().attention.mla_prefix == MlaPrefix::expanded;
}

// Gradient of the value half of kv_b and of the latent outputs: heads -> attended.
void value_backward(const LayerBackwardPass& pass, const float* dheads, float* dattended) {
  const LayerPass& f = pass.forward;
  const MlaShape s(f.config().attention);
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

// Gradient of the key half of kv_b and of q: q_full -> q, to which a prefix may have given before.
void absorb_backward(const LayerBackwardPass& pass, const float* dfull, bool add, float* dq) {
  const LayerPass& f = pass.forward;
  const MlaShape s(f.config().attention);
  const MlaWeights& w = f.weights().mla;
  for (std::int64_t h = 0; h < s.H; ++h) {
    apply_linear(f, w.uk[static_cast<std::size_t>(h)].backward, dfull + h * s.latent(),
                 s.H * s.latent(), dq + h * s.qk(), s.H * s.qk(), nullptr, add, false);
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
  if (!add) {
    copy_rope_part(f.T() * s.H, dfull, s.latent(), s.R, dq, s.qk(), s.nope, s.rope);
    return;
  }
  for (std::int64_t i = 0; i < f.T() * s.H; ++i) {
    for (std::int64_t d = 0; d < s.rope; ++d) {
      dq[i * s.qk() + s.nope + d] += dfull[i * s.latent() + s.R + d];
    }
  }
}

// Completions: heads -> q; keys and values get theirs in dcache.
void absorbed_backward(const LayerBackwardPass& pass, const float* dheads, float* dq) {
  const LayerPass& f = pass.forward;
  const AttentionConfig& c = f.config().attention;
  const MlaShape s(c);
  float* dattended = pass.scratch.b.resize(f.T() * s.H * s.R);
  float* dfull = pass.scratch.c.resize(f.T() * s.H * s.latent());
  value_backward(pass, dheads, dattended);
  AttentionBackwardArgs args{.layout = f.batch.layout(),
                             .shape = absorbed_shape(c),
                             .q = pass.kept.q_full.data(),
                             .cache = f.cache.layer(f.index),
                             .out = pass.kept.attended.data(),
                             .row_max = pass.kept.row_max.data(),
                             .row_sum = pass.kept.row_sum.data(),
                             .dout = dattended,
                             .dq = dfull,
                             .dcache = pass.dcache.layer(f.index)};
  if (is_expanded(f)) {
    args.prefix = {
        .shape = expanded_shape(c), .q = pass.kept.q.data(), .cache = f.cache.prompts(f.index)};
    args.prefix_gradients = {.out = pass.kept.prefix_heads.data(),
                             .dout = dheads,
                             .dq = dq,
                             .dcache = pass.dcache.prompts(f.index)};
  }
  attention_backward(f.context, args);
  absorb_backward(pass, dfull, is_expanded(f), dq);
}

// Prompts: heads -> q; keys and values get theirs in dcache.
void expanded_backward(const LayerBackwardPass& pass, const float* dheads, float* dq) {
  const LayerPass& f = pass.forward;
  attention_backward(f.context, {.layout = f.batch.layout(),
                                 .shape = expanded_shape(f.config().attention),
                                 .q = pass.kept.q.data(),
                                 .cache = f.cache.prompts(f.index),
                                 .out = pass.kept.heads.data(),
                                 .row_max = pass.kept.row_max.data(),
                                 .row_sum = pass.kept.row_sum.data(),
                                 .dout = dheads,
                                 .dq = dq,
                                 .dcache = pass.dcache.prompts(f.index)});
}

// Prompts' dcache rows, which all of the group has added to -> dkv; the gradient of kv_b. The rope
// key is every head's, so it gets the sum over heads, in order.
void expansion_backward(const LayerBackwardPass& pass, float* dkv) {
  const LayerPass& f = pass.forward;
  const MlaWeights& w = f.weights().mla;
  const MlaShape s(f.config().attention);
  const AttentionShape shape = expanded_shape(f.config().attention);
  float* dexpanded = pass.scratch.b.resize(f.T() * s.kv_b());
  for (std::int64_t t = 0; t < f.T(); ++t) {
    const float* from = pass.dcache.prompts(f.index) +
                        f.batch.cache_rows[static_cast<std::size_t>(t)] * shape.cache_row;
    float* to = dexpanded + t * s.kv_b();
    float* drope = dkv + t * s.latent() + s.R;
    std::fill_n(drope, s.rope, 0.0F);
    for (std::int64_t h = 0; h < s.H; ++h, from += shape.k_head, to += s.nope + s.v) {
      std::memcpy(to, from, static_cast<std::size_t>(s.nope) * 4);
      for (std::int64_t d = 0; d < s.rope; ++d) drope[d] += from[s.nope + d];
      std::memcpy(to + s.nope, from + s.qk(), static_cast<std::size_t>(s.v) * 4);
    }
  }
  add_linear_gradient(pass, w.expand, pass.kept.kv.data(), s.latent(), dexpanded, s.kv_b());
  apply_linear(f, w.expand.backward, dexpanded, s.kv_b(), dkv, s.latent(), nullptr, false, false);
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
void query_backward(const LayerBackwardPass& pass, float* dq, float* dlora) {
  const LayerPass& f = pass.forward;
  const AttentionConfig& c = f.config().attention;
  const MlaWeights& w = f.weights().mla;
  const MlaShape s(c);
  const std::int64_t width = s.H * s.qk();
  RopeArgs turn = mla_rope(f, dq + s.nope, width, s.qk(), s.H);
  turn.backward = true;
  rope(f.context, turn);
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

// Completions' dcache rows -> dkv.
void gather_latent_gradients(const LayerBackwardPass& pass, float* dkv) {
  const LayerPass& f = pass.forward;
  const std::int64_t width = f.cache.width(f.index);
  const float* dcache = pass.dcache.layer(f.index);
  for (std::int64_t t = 0; t < f.T(); ++t) {
    std::memcpy(dkv + t * width, dcache + f.batch.cache_rows[static_cast<std::size_t>(t)] * width,
                static_cast<std::size_t>(width) * 4);
  }
}

// dkv -> dh (added).
void latent_backward(const LayerBackwardPass& pass, float* dkv) {
  const LayerPass& f = pass.forward;
  const MlaWeights& w = f.weights().mla;
  const MlaShape s(f.config().attention);
  const std::int64_t width = s.latent();
  RopeArgs turn = mla_rope(f, dkv + s.R, width, 0, 1);
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

// Whether the batch holds prompts, which are expanded.
bool expands(const LayerPass& pass) {
  if (!is_expanded(pass)) return false;
  const bool prompts = !prompts_of(pass.batch).empty();
  if (prompts && !completions_of(pass.batch).empty()) {
    throw std::invalid_argument(
        "mla_backward: with an expanded prefix a pass holds prompts or completions, not both");
  }
  return prompts;
}

}  // namespace

void mla_backward(const LayerBackwardPass& pass) {
  const LayerPass& f = pass.forward;
  const AttentionConfig& c = f.config().attention;
  const MlaWeights& w = f.weights().mla;
  const MlaShape s(c);
  BackwardScratch& scratch = pass.scratch;
  const bool prompts = expands(f);
  float* dheads = scratch.a.resize(f.T() * s.H * s.v);
  float* dq = scratch.d.resize(f.T() * s.H * s.qk());
  add_linear_gradient(pass, w.o, pass.kept.heads.data(), s.H * s.v, scratch.dx.data(), f.D());
  apply_linear(f, w.o.backward, scratch.dx.data(), f.D(), dheads, s.H * s.v, nullptr, false, false);
  if (prompts) {
    expanded_backward(pass, dheads, dq);
  } else {
    absorbed_backward(pass, dheads, dq);
  }
  query_backward(pass, dq, scratch.a.resize(f.T() * std::max<std::int64_t>(1, c.q_lora_rank)));
  float* dkv = scratch.c.resize(f.T() * s.latent());
  if (prompts) {
    expansion_backward(pass, dkv);
  } else {
    gather_latent_gradients(pass, dkv);
  }
  latent_backward(pass, dkv);
}

}  // namespace zeroth
