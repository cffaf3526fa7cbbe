// What a pass over the layers works on: the batch, and the values each layer computes. A training
// pass keeps one LayerActivations a layer; an inference pass reuses one for all. That is the only
// difference between the two.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.h"
#include "kernels/context.h"
#include "policy/buffer.h"
#include "policy/cache.h"
#include "policy/packed_policy.h"

namespace zeroth {

/// Tokens at given positions of given sequences: a prompt, a chunk of one, one new token of many
/// sequences, or whole training sequences. The sequences may be anything; no result depends on the
/// company.
///
/// The members of a group without a prefix are prompts; a prefix is a prompt, and those behind it
/// are completions. Where prompts have cache rows of their own (cache.h), the rows of prompts'
/// tokens and of runs that cover prompts are such rows.
struct ForwardBatch {
  std::vector<std::int32_t> tokens;      // [T]
  std::vector<std::int32_t> positions;   // [T]
  std::vector<std::int64_t> cache_rows;  // [T] where each token's entry goes
  std::vector<AttentionGroup> groups;
  std::vector<AttentionMember> members;  // queries of all members cover 0..T-1
  std::vector<KeyRun> runs;
  // [S + 1] token offsets of the sequences; needed for gradients only
  std::vector<std::int64_t> segments;

  std::int64_t size() const { return static_cast<std::int64_t>(tokens.size()); }
  AttentionLayout layout() const {
    return {.groups = groups.data(),
            .num_groups = static_cast<std::int64_t>(groups.size()),
            .members = members.data(),
            .num_members = static_cast<std::int64_t>(members.size()),
            .runs = runs.data()};
  }
  void clear();
};

struct LayerActivations {
  Buffer x_in;              // [T, D] residual stream before the layer
  Buffer h1, rstd1;         // [T, D], [T]
  Buffer q_a, q_a_normed;   // mla with q_lora: [T, q_lora_rank]
  Buffer rstd_q;            // [T] of q_a, or with qk_norm [T, H] of q_raw
  Buffer q_raw;             // gqa with qk_norm: [T, H * head_dim] before the norm
  Buffer q;                 // [T, H * (nope + rope)] or [T, H * head_dim], rotated
  Buffer kv_raw;            // mla: [T, cache width]
  Buffer kv;                // [T, cache width]; with qk_norm its keys are those before the norm
  Buffer rstd_kv;           // [T] of kv_raw, or with qk_norm [T, Hkv] of the keys of kv
  Buffer k;                 // gqa with qk_norm: [T, Hkv * head_dim] normed, rotated
  Buffer q_full;            // mla: [T, H, R + rope]
  Buffer attended;          // mla: [T, H, R]
  Buffer expanded;          // mla, expanded prefix: [T, H * (nope + v)] of prompts
  Buffer prefix_heads;      // mla, expanded prefix: [T, H * v] completions' share from the prompt
  Buffer row_max, row_sum;  // [T, H]
  Buffer heads;             // [T, H * v_head_dim] input of o_proj
  Buffer x_mid;             // [T, D] residual stream between attention and ffn
  Buffer h2, rstd2;
  Buffer gate_up, act;                           // dense ffn or shared expert: [T, 2 I], [T, I]
  Buffer router_logits, scores, expert_weights;  // [T, E], [T, E], [T, K]
  std::vector<std::int32_t> experts;             // [T, K]
  std::vector<std::int64_t> expert_offsets;      // [E + 1]
  std::vector<std::int64_t> row_of_slot, token_of_row;  // [T * K]
  Buffer rows, rows_gate_up, rows_act, rows_out;        // [T * K, D | 2 I | I | D]
  Buffer ffn;  // [T, D] moe: shared expert plus routed experts
};

/// Scratch of a backward pass, one for all layers.
struct BackwardScratch {
  Buffer dx;                                  // [T, D] gradient of the residual stream, running
  Buffer dh;                                  // [T, D]
  Buffer a, b, c, d;                          // as each layer needs
  std::vector<std::int64_t> head_segments;    // [S + 1] the batch's segments, in heads
  std::vector<std::int64_t> expert_segments;  // [E * S + 1]
  std::vector<std::int64_t> expert_segment_begin;  // [E + 1]
};

/// One layer's attention or ffn sees the pass through this.
struct LayerPass {
  const Context& context;
  const PackedPolicy& policy;
  const ForwardBatch& batch;
  std::size_t index;
  Cache& cache;

  const LayerConfig& config() const { return policy.config().layers[index]; }
  const LayerWeights& weights() const { return policy.layer(index); }
  std::int64_t T() const { return batch.size(); }
  std::int64_t D() const { return policy.config().hidden_size; }
};

struct LayerBackwardPass {
  LayerPass forward;
  const LayerActivations& kept;
  BackwardScratch& scratch;
  Cache& dcache;
  float* gradients;  // flat, laid out as Weights
};

// y (+)= linear(x). `bias` may be null.
void apply_linear(const LayerPass& pass, const PackedWeight& weight, const float* x,
                  std::int64_t ldx, float* y, std::int64_t ldy, const float* bias, bool add,
                  bool round);

// Adds the gradient of every part of `linear` for inputs x [T, ldx] and output gradients dy [T,
// ldy].
void add_linear_gradient(const LayerBackwardPass& pass, const Linear& linear, const float* x,
                         std::int64_t ldx, const float* dy, std::int64_t ldy);

void mla_forward(const LayerPass& pass, LayerActivations& a);  // h1 -> x_mid (x_in added)
void gqa_forward(const LayerPass& pass, LayerActivations& a);
void dense_ffn_forward(const LayerPass& pass, LayerActivations& a,
                       float* x_out);  // h2 -> x_out (x_mid added)
void moe_forward(const LayerPass& pass, LayerActivations& a, float* x_out);

// scratch.dx holds the gradient of the sublayer's output; the gradient of its normed input goes to
// scratch.dh.
void mla_backward(const LayerBackwardPass& pass);
void gqa_backward(const LayerBackwardPass& pass);
void dense_ffn_backward(const LayerBackwardPass& pass);
void moe_backward(const LayerBackwardPass& pass);

}  // namespace zeroth
