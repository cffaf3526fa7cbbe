// Mixture of experts, with shared experts (DeepSeek-V3, arXiv:2412.19437, section 2.1.2) or without
// (Qwen3, arXiv:2505.09388). The combine starts from the shared expert's result, or zero, and adds
// the chosen experts in slot order; router logits and the combine are fp32.
#include <algorithm>
#include <cstring>

#include "kernels/moe_permute.h"
#include "kernels/router.h"
#include "kernels/swiglu.h"
#include "policy/activations.h"
#include "policy/dense_ffn.h"

namespace zeroth {
namespace {

void route(const LayerPass& pass, LayerActivations& a) {
  const FfnConfig& c = pass.config().ffn;
  const MoeWeights& w = pass.weights().moe;
  const std::int64_t T = pass.T();
  const auto slots = static_cast<std::size_t>(T * c.num_experts_per_tok);
  a.experts.resize(slots);
  a.row_of_slot.resize(slots);
  a.token_of_row.resize(slots);
  a.expert_offsets.resize(static_cast<std::size_t>(c.num_experts) + 1);
  float* logits = a.router_logits.resize(T * c.num_experts);
  apply_linear(pass, w.router.forward, a.h2.data(), pass.D(), logits, c.num_experts, nullptr, false,
               false);
  router(pass.context, {.logits = logits,
                        .bias = w.bias >= 0 ? pass.policy.at(w.bias) : nullptr,
                        .scores = a.scores.resize(T * c.num_experts),
                        .experts = a.experts.data(),
                        .weights = a.expert_weights.resize(T * c.num_experts_per_tok),
                        .T = T,
                        .E = c.num_experts,
                        .K = c.num_experts_per_tok,
                        .n_group = c.n_group,
                        .topk_group = c.topk_group,
                        .group_max = c.group_score == GroupScore::best,
                        .softmax = c.scoring == RouterScoring::softmax,
                        .normalize = c.norm_topk_prob,
                        .scaling_factor = static_cast<float>(c.routed_scaling_factor)});
  moe_plan(a.experts.data(), T, c.num_experts_per_tok, c.num_experts, a.expert_offsets.data(),
           a.row_of_slot.data(), a.token_of_row.data());
}

// y[rows of expert e] = weights[e] applied to x.
void experts_linear(const LayerPass& pass, const std::vector<PackedWeight>& weights,
                    const std::vector<std::int64_t>& offsets, const float* x, float* y,
                    bool round) {
  gemm(pass.context, {.x = x,
                      .ldx = weights[0].K,
                      .weights = weights.data(),
                      .num_groups = static_cast<std::int64_t>(weights.size()),
                      .offsets = offsets.data(),
                      .y = y,
                      .ldy = weights[0].N,
                      .round_bf16 = round});
}

}  // namespace

void moe_forward(const LayerPass& pass, LayerActivations& a, float* x_out) {
  const FfnConfig& c = pass.config().ffn;
  const MoeWeights& w = pass.weights().moe;
  const std::int64_t T = pass.T();
  const std::int64_t D = pass.D();
  const std::int64_t I = c.intermediate_size;
  const std::int64_t slots = T * c.num_experts_per_tok;
  const bool round = pass.policy.rounds();
  route(pass, a);
  float* rows = a.rows.resize(slots * D);
  float* gate_up = a.rows_gate_up.resize(slots * 2 * I);
  float* act = a.rows_act.resize(slots * I);
  float* out = a.rows_out.resize(slots * D);
  float* ffn = a.ffn.resize(T * D);
  moe_gather(pass.context, {.x = a.h2.data(),
                            .token_of_row = a.token_of_row.data(),
                            .rows = rows,
                            .num_rows = slots,
                            .D = D});
  experts_linear(pass, w.gate_up, a.expert_offsets, rows, gate_up, round);
  swiglu(pass.context, {.gate_up = gate_up, .y = act, .T = slots, .I = I, .round_bf16 = round});
  experts_linear(pass, w.down, a.expert_offsets, act, out, false);
  if (c.num_shared_experts > 0) {
    swiglu_block_forward(pass, w.shared, a, ffn, false);
  } else {
    std::memset(ffn, 0, static_cast<std::size_t>(T * D) * 4);
  }
  moe_combine(pass.context, {.rows = out,
                             .row_of_slot = a.row_of_slot.data(),
                             .weights = a.expert_weights.data(),
                             .y = ffn,
                             .T = T,
                             .K = c.num_experts_per_tok,
                             .D = D});
  add_to(pass.context, {.x = ffn, .y = x_out, .n = T * D});
}

namespace {

// Cuts the permuted rows of every expert at the sequences' ends: gradients are added sequence by
// sequence.
void cut_expert_rows(const LayerBackwardPass& pass) {
  const std::vector<std::int64_t>& segments = pass.forward.batch.segments;
  const std::size_t S = segments.size() - 1;
  const std::size_t E = pass.kept.expert_offsets.size() - 1;
  auto& cuts = pass.scratch.expert_segments;
  auto& begin = pass.scratch.expert_segment_begin;
  cuts.assign(E * S + 1, 0);
  begin.resize(E + 1);
  for (std::size_t e = 0; e <= E; ++e) begin[e] = static_cast<std::int64_t>(e * S);
  for (std::size_t e = 0; e < E; ++e) {
    std::int64_t row = pass.kept.expert_offsets[e];
    for (std::size_t s = 0; s < S; ++s) {
      cuts[e * S + s] = row;
      while (row < pass.kept.expert_offsets[e + 1] &&
             pass.kept.token_of_row[static_cast<std::size_t>(row)] < segments[s + 1]) {
        ++row;
      }
    }
  }
  cuts[E * S] = pass.kept.expert_offsets[E];
}

// Adds dW for a stack of expert weights at `offsets`: outputs are N columns of dy from `column` on.
void add_expert_gradient(const LayerBackwardPass& pass, const std::vector<std::int64_t>& offsets,
                         const float* x, std::int64_t K, const float* dy, std::int64_t ldy,
                         std::int64_t N) {
  std::vector<float*> dw;
  for (const std::int64_t offset : offsets) dw.push_back(pass.gradients + offset);
  weight_gradient(pass.forward.context, {.x = x,
                                         .ldx = K,
                                         .dy = dy,
                                         .ldy = ldy,
                                         .N = N,
                                         .K = K,
                                         .segments = pass.scratch.expert_segments.data(),
                                         .num_groups = static_cast<std::int64_t>(offsets.size()),
                                         .segment_begin = pass.scratch.expert_segment_begin.data(),
                                         .dw = dw.data()});
}

// scratch.dx -> scratch.dh through the chosen experts; returns the gradient of the slot weights in
// `dweights`.
void experts_backward(const LayerBackwardPass& pass, float* dweights) {
  const LayerPass& f = pass.forward;
  const FfnConfig& c = f.config().ffn;
  const MoeWeights& w = f.weights().moe;
  const LayerActivations& a = pass.kept;
  const std::int64_t D = f.D();
  const std::int64_t I = c.intermediate_size;
  const std::int64_t slots = f.T() * c.num_experts_per_tok;
  float* drows = pass.scratch.a.resize(slots * D);
  float* dact = pass.scratch.b.resize(slots * I);
  float* dgate_up = pass.scratch.c.resize(slots * 2 * I);
  moe_combine_backward(f.context, {.rows = a.rows_out.data(),
                                   .row_of_slot = a.row_of_slot.data(),
                                   .weights = a.expert_weights.data(),
                                   .dy = pass.scratch.dx.data(),
                                   .drows = drows,
                                   .dweights = dweights,
                                   .T = f.T(),
                                   .K = c.num_experts_per_tok,
                                   .D = D});
  cut_expert_rows(pass);
  add_expert_gradient(pass, w.down_offset, a.rows_act.data(), I, drows, D, D);
  experts_linear(f, w.down_backward, a.expert_offsets, drows, dact, false);
  swiglu_backward(
      f.context,
      {.gate_up = a.rows_gate_up.data(), .dy = dact, .dgate_up = dgate_up, .T = slots, .I = I});
  add_expert_gradient(pass, w.gate, a.rows.data(), D, dgate_up, 2 * I, I);
  add_expert_gradient(pass, w.up, a.rows.data(), D, dgate_up + I, 2 * I, I);
  experts_linear(f, w.gate_up_backward, a.expert_offsets, dgate_up, drows, false);
  moe_combine(f.context, {.rows = drows,
                          .row_of_slot = a.row_of_slot.data(),
                          .y = pass.scratch.dh.data(),
                          .T = f.T(),
                          .K = c.num_experts_per_tok,
                          .D = D});
}

}  // namespace

void moe_backward(const LayerBackwardPass& pass) {
  const LayerPass& f = pass.forward;
  const FfnConfig& c = f.config().ffn;
  const MoeWeights& w = f.weights().moe;
  const std::int64_t T = f.T();
  if (c.num_shared_experts > 0) {
    swiglu_block_backward(pass, w.shared, false);
  } else {
    std::memset(pass.scratch.dh.data(), 0, static_cast<std::size_t>(T * f.D()) * 4);
  }
  float* dweights = pass.scratch.d.resize(T * (c.num_experts_per_tok + c.num_experts));
  float* dlogits = dweights + T * c.num_experts_per_tok;
  experts_backward(pass, dweights);
  router_backward(f.context, {.scores = pass.kept.scores.data(),
                              .experts = pass.kept.experts.data(),
                              .dweights = dweights,
                              .dlogits = dlogits,
                              .T = T,
                              .E = c.num_experts,
                              .K = c.num_experts_per_tok,
                              .softmax = c.scoring == RouterScoring::softmax,
                              .normalize = c.norm_topk_prob,
                              .scaling_factor = static_cast<float>(c.routed_scaling_factor)});
  add_linear_gradient(pass, w.router, pass.kept.h2.data(), f.D(), dlogits, c.num_experts);
  apply_linear(f, w.router.backward, dlogits, c.num_experts, pass.scratch.dh.data(), f.D(), nullptr,
               true, false);
}

}  // namespace zeroth
