// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1): what its forward and
// its backward pass share.
//
// Two algebras compute the same function, in bf16 with other bits:
//
//   absorbed   queries are taken into the latent space; the cached latents are keys and values of
//              all heads, and what is attended goes through W_uv:  o = W_uv round(sum_j p_j c_j)
//   expanded   a latent c becomes keys and values of every head, [k; v] = round(kv_b c), and these
//              are attended:  o = sum_j p_j v_j
//
// Position decides which, and nothing else: completions meet completions absorbed; prompts are met,
// by themselves and by completions, as mla_prefix says. A completion over an expanded prompt takes
// one softmax over both, and o = round(sum over the prompt + W_uv round(sum over the completion)).
#pragma once

#include <vector>

#include "kernels/rope.h"
#include "policy/activations.h"

namespace zeroth {

struct MlaShape {
  explicit MlaShape(const AttentionConfig& c)
      : H(c.num_heads),
        nope(c.qk_nope_head_dim),
        rope(c.qk_rope_head_dim),
        v(c.v_head_dim),
        R(c.kv_lora_rank) {}
  std::int64_t H, nope, rope, v, R;
  std::int64_t qk() const { return nope + rope; }
  std::int64_t latent() const { return R + rope; }
  std::int64_t kv_b() const { return H * (nope + v); }
};

/// Consecutive tokens of a batch.
struct TokenRows {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// The sequences of a batch that one algebra applies to.
struct MlaPart {
  std::vector<AttentionGroup> groups;
  std::vector<AttentionMember> members;
  std::vector<TokenRows> rows;  // all tokens of the members

  bool empty() const { return groups.empty(); }
  AttentionLayout layout(const ForwardBatch& batch) const;
};

/// The prompts of a batch, or its completions.
MlaPart prompts_of(const ForwardBatch& batch);
MlaPart completions_of(const ForwardBatch& batch);

/// One latent row for all heads.
AttentionShape absorbed_shape(const AttentionConfig& c);
/// Every head's [k_nope | k_rope | v], side by side in a row.
AttentionShape expanded_shape(const AttentionConfig& c);

/// Turns x [T, row], in which `heads` heads stand `head` apart.
RopeArgs mla_rope(const LayerPass& pass, float* x, std::int64_t row, std::int64_t head,
                  std::int64_t heads);

/// Copies the rope part of every row between [rows, from_width] and [rows, to_width].
void copy_rope_part(std::int64_t rows, const float* from, std::int64_t from_width,
                    std::int64_t from_at, float* to, std::int64_t to_width, std::int64_t to_at,
                    std::int64_t rope);

}  // namespace zeroth
