#include "policy/decoder.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/moe_permute.h"
#include "kernels/rms_norm.h"

namespace zeroth {

void ForwardBatch::clear() {
  tokens.clear();
  positions.clear();
  cache_rows.clear();
  groups.clear();
  members.clear();
  runs.clear();
  segments.clear();
}

void apply_linear(const LayerPass& pass, const PackedWeight& weight, const float* x,
                  std::int64_t ldx, float* y, std::int64_t ldy, const float* bias, bool add,
                  bool round) {
  gemm(pass.context, {.x = x,
                      .ldx = ldx,
                      .M = pass.T(),
                      .weights = &weight,
                      .bias = bias,
                      .y = y,
                      .ldy = ldy,
                      .add_to_y = add,
                      .round_bf16 = round});
}

void add_linear_gradient(const LayerBackwardPass& pass, const Linear& linear, const float* x,
                         std::int64_t ldx, const float* dy, std::int64_t ldy) {
  const LayerPass& f = pass.forward;
  for (std::size_t part = 0; part < linear.parts.size(); ++part) {
    float* dw = pass.gradients + linear.parts[part];
    weight_gradient(f.context,
                    {.x = x,
                     .ldx = ldx,
                     .dy = dy,
                     .ldy = ldy,
                     .N = linear.rows[part],
                     .K = linear.forward.K,
                     .segments = f.batch.segments.data(),
                     .num_segments = static_cast<std::int64_t>(f.batch.segments.size()) - 1,
                     .dw = &dw});
    dy += linear.rows[part];
  }
}

namespace {

void check(const PackedPolicy& policy, const ForwardBatch& batch, const Cache& cache) {
  if (expands_prompts(policy.config()) && batch.size() > 0 && cache.prompt_rows() == 0) {
    throw std::invalid_argument("decoder: expanded prompts, and a cache without rows for them");
  }
  for (std::size_t t = 0; t < batch.tokens.size(); ++t) {
    if (batch.tokens[t] < 0 || batch.tokens[t] >= policy.config().vocab_size) {
      throw std::invalid_argument("decoder: token " + std::to_string(batch.tokens[t]) +
                                  " is outside the vocabulary of " +
                                  std::to_string(policy.config().vocab_size));
    }
    if (batch.positions[t] < 0 || batch.positions[t] >= policy.max_position()) {
      throw std::invalid_argument("decoder: position " + std::to_string(batch.positions[t]) +
                                  " is outside max_position_embeddings " +
                                  std::to_string(policy.max_position()));
    }
  }
}

void normalize(const LayerPass& pass, const float* x, std::int64_t gamma, Buffer& y, Buffer& rstd) {
  const std::int64_t T = pass.T();
  const std::int64_t D = pass.D();
  rms_norm(pass.context, {.x = x,
                          .ldx = D,
                          .gamma = pass.policy.at(gamma),
                          .y = y.resize(T * D),
                          .ldy = D,
                          .rstd = rstd.resize(T),
                          .T = T,
                          .D = D,
                          .eps = static_cast<float>(pass.policy.config().rms_norm_eps),
                          .round_bf16 = pass.policy.rounds()});
}

// x_in -> x_out, which may be the same memory.
void layer_forward(const LayerPass& pass, LayerActivations& a, float* x_out) {
  const std::size_t bytes = static_cast<std::size_t>(pass.T() * pass.D()) * 4;
  normalize(pass, a.x_in.data(), pass.weights().input_norm, a.h1, a.rstd1);
  std::memcpy(a.x_mid.resize(pass.T() * pass.D()), a.x_in.data(), bytes);
  if (pass.config().attention.kind == AttentionKind::mla) {
    mla_forward(pass, a);
  } else {
    gqa_forward(pass, a);
  }
  normalize(pass, a.x_mid.data(), pass.weights().post_attention_norm, a.h2, a.rstd2);
  std::memcpy(x_out, a.x_mid.data(), bytes);
  if (pass.config().ffn.kind == FfnKind::dense) {
    dense_ffn_forward(pass, a, x_out);
  } else {
    moe_forward(pass, a, x_out);
  }
}

}  // namespace

void embed(const PackedPolicy& policy, std::span<const std::int32_t> tokens, float* x) {
  const std::int64_t D = policy.config().hidden_size;
  for (const std::int32_t token : tokens) {
    std::memcpy(x, policy.at(policy.embedding()) + token * D, static_cast<std::size_t>(D) * 4);
    x += D;
  }
}

void decoder_forward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                     Cache& cache, Activations& activations) {
  check(policy, batch, cache);
  activations.layers.resize(activations.keep_layers ? policy.config().layers.size() : 1);
  embed(policy, batch.tokens,
        activations.layers[0].x_in.resize(batch.size() * policy.config().hidden_size));
  layers_forward(context, policy, batch, cache, activations);
}

void layers_forward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                    Cache& cache, Activations& activations) {
  const std::size_t num_layers = policy.config().layers.size();
  const std::int64_t floats = batch.size() * policy.config().hidden_size;
  activations.experts.clear();
  for (std::size_t i = 0; i < num_layers; ++i) {
    LayerActivations& a = activations.layers[activations.keep_layers ? i : 0];
    const bool last = i + 1 == num_layers;
    Buffer& out =
        last ? activations.hidden : activations.layers[activations.keep_layers ? i + 1 : 0].x_in;
    layer_forward({context, policy, batch, i, cache}, a, out.resize(floats));
    if (policy.config().layers[i].ffn.kind == FfnKind::moe)
      activations.experts.push_back(a.experts);
  }
}

namespace {

// scratch.dh is the gradient of y = norm(x): adds its gradient to scratch.dx and to the norm's
// weight.
void norm_backward(const LayerBackwardPass& pass, const float* x, const float* rstd,
                   std::int64_t gamma) {
  const LayerPass& f = pass.forward;
  column_gradient(f.context,
                  {.dy = pass.scratch.dh.data(),
                   .ldy = f.D(),
                   .x = x,
                   .ldx = f.D(),
                   .scale = rstd,
                   .N = f.D(),
                   .segments = f.batch.segments.data(),
                   .num_segments = static_cast<std::int64_t>(f.batch.segments.size()) - 1,
                   .db = pass.gradients + gamma});
  rms_norm_backward(f.context, {.x = x,
                                .ldx = f.D(),
                                .gamma = f.policy.at(gamma),
                                .rstd = rstd,
                                .dy = pass.scratch.dh.data(),
                                .ldy = f.D(),
                                .dx = pass.scratch.dx.data(),
                                .lddx = f.D(),
                                .T = f.T(),
                                .D = f.D(),
                                .add_to_dx = true});
}

void layer_backward(const LayerBackwardPass& pass) {
  const LayerPass& f = pass.forward;
  pass.scratch.dh.resize(f.T() * f.D());
  if (f.config().ffn.kind == FfnKind::dense) {
    dense_ffn_backward(pass);
  } else {
    moe_backward(pass);
  }
  norm_backward(pass, pass.kept.x_mid.data(), pass.kept.rstd2.data(),
                f.weights().post_attention_norm);
  if (f.config().attention.kind == AttentionKind::mla) {
    mla_backward(pass);
  } else {
    gqa_backward(pass);
  }
  norm_backward(pass, pass.kept.x_in.data(), pass.kept.rstd1.data(), f.weights().input_norm);
}

}  // namespace

// Token by token, in order: the chain does not depend on how the batch was cut.
void embedding_backward(const Context& context, std::span<const std::int32_t> tokens,
                        const float* dx, std::int64_t hidden_size, float* gradient) {
  constexpr std::int64_t kColumns = 64;
  const std::int64_t D = hidden_size;
  const auto run = [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t stop = std::min(D, end * kColumns);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      float* row = gradient + tokens[t] * D;
      const float* from = dx + static_cast<std::int64_t>(t) * D;
      for (std::int64_t d = begin * kColumns; d < stop; ++d) row[d] += from[d];
    }
  };
  context.pool->parallel_for((D + kColumns - 1) / kColumns, 1, run);
}

void layers_backward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                     Cache& cache, Activations& activations, BackwardScratch& scratch,
                     Cache& dcache, float* gradients) {
  if (!activations.keep_layers || batch.segments.empty()) {
    throw std::invalid_argument(
        "layers_backward: needs a kept forward pass and the batch's segments");
  }
  for (std::size_t i = policy.config().layers.size(); i-- > 0;) {
    layer_backward(
        {{context, policy, batch, i, cache}, activations.layers[i], scratch, dcache, gradients});
  }
}

void decoder_backward(const Context& context, const PackedPolicy& policy, const ForwardBatch& batch,
                      Cache& cache, Activations& activations, BackwardScratch& scratch,
                      Cache& dcache, float* gradients, float* embedding_gradient) {
  layers_backward(context, policy, batch, cache, activations, scratch, dcache, gradients);
  embedding_backward(context, batch.tokens, scratch.dx.data(), policy.config().hidden_size,
                     embedding_gradient);
}

}  // namespace zeroth
