// Softmax attention of queries over rows of a cache, for every kind of layer and every use of it.
//
//   score[q,j] = scale * sum_d Q[q,d] K[j,d];   out[q] = sum_j softmax(score[q])_j V[j]
//
// One kernel serves grouped-query attention (K and V of each kv head side by side in a cache row)
// and multi-head latent attention (one latent row is K for all heads, and its first Dv floats are
// V: "absorbed", DeepSeek-V2, arXiv:2405.04434, section 2.1); prefill, chunks, decode and training;
// pages and a prompt shared by a group.
//
// Keys come as runs of consecutive cache rows (a page is a run), in ascending position. Two passes
// with the exact maximum: all scores, then exp, then the sum in lane j mod 16 and one tree, then
// out as an fma chain over ascending j. So neither pages, nor chunks, nor which sequences share a
// call, nor threads enter the bits.
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace zeroth {

struct KeyRun {
  std::int64_t row = 0;    // first cache row
  std::int64_t count = 0;  // consecutive rows
};

/// Queries of one sequence at consecutive positions. Query i sees the group's prefix and the first
/// own_before + i + 1 of its own keys.
struct AttentionMember {
  std::int64_t first_query = 0;  // row in q
  std::int64_t num_queries = 0;
  std::int64_t first_run = 0;  // its own keys: runs[first_run, first_run + num_runs)
  std::int64_t num_runs = 0;
  std::int64_t own_before = 0;  // own keys that stand before the first query's own
};

/// Sequences that share a prefix of keys, all of which every query sees (an empty prefix is fine).
struct AttentionGroup {
  std::int64_t first_run = 0;  // the prefix: runs[first_run, first_run + num_runs)
  std::int64_t num_runs = 0;
  std::int64_t prefix_length = 0;
  std::int64_t first_member = 0;
  std::int64_t num_members = 0;
};

/// Who attends to what; independent of the layer.
struct AttentionLayout {
  const AttentionGroup* groups = nullptr;
  std::int64_t num_groups = 0;
  const AttentionMember* members = nullptr;
  std::int64_t num_members = 0;
  const KeyRun* runs = nullptr;
};

/// Where K and V stand in a cache row, and the head counts.
struct AttentionShape {
  std::int64_t H = 0;    // query heads
  std::int64_t Hkv = 0;  // kv heads; divides H
  std::int64_t Dk = 0;
  std::int64_t Dv = 0;
  std::int64_t cache_row = 0;  // floats in a cache row
  std::int64_t k_head = 0;     // K of kv head h at row + h * k_head
  std::int64_t v_offset = 0;   // V of kv head h at row + v_offset + h * v_head
  std::int64_t v_head = 0;
  float scale = 1.0F;
};

/// Keys and values of the groups' prefixes where they stand apart from the members' own and in
/// another algebra: an expanded prefix, where own keys are absorbed. One softmax runs over both,
/// its maximum and sum as above. The two sums of values live in different spaces and stay apart;
/// each is an fma chain over ascending j, divided by the common sum:
///
///   prefix.out[q] = sum_{j in prefix} softmax(score[q])_j V[j];   out[q] = the same over own keys
///
/// Runs of prefixes are then rows of `cache` here. `shape` has a kv head for each query head and
/// the scale of the own keys' shape, which has one kv head for all.
struct AttentionPrefix {
  AttentionShape shape;
  const float* q = nullptr;      // [T, H, Dk]
  const float* cache = nullptr;  // nullptr: prefixes stand with the members' own keys
  float* out = nullptr;          // [T, H, Dv]  never rounded
};

struct AttentionArgs {
  AttentionLayout layout;
  AttentionShape shape;
  const float* q = nullptr;      // [T, H, Dk]
  const float* cache = nullptr;  // [rows, cache_row]
  float* out = nullptr;          // [T, H, Dv]
  float* row_max = nullptr;      // [T, H]  kept for backward; nullptr in inference
  float* row_sum = nullptr;      // [T, H]
  bool round_bf16 = false;
  AttentionPrefix prefix = {};
};

void attention(const Context& context, const AttentionArgs& args);

struct AttentionPrefixGradients {
  const float* out = nullptr;   // [T, H, Dv]
  const float* dout = nullptr;  // [T, H, Dv]
  float* dq = nullptr;          // [T, H, Dk]  written
  float* dcache = nullptr;      // added to
};

/// Each member's gradient is computed on its own; what flows into a shared prefix is added member
/// by member, in order.
struct AttentionBackwardArgs {
  AttentionLayout layout;
  AttentionShape shape;
  const float* q = nullptr;
  const float* cache = nullptr;
  const float* out = nullptr;
  const float* row_max = nullptr;
  const float* row_sum = nullptr;
  const float* dout = nullptr;  // [T, H, Dv]
  float* dq = nullptr;          // [T, H, Dk]  written
  float* dcache = nullptr;      // [rows, cache_row]  added to
  AttentionPrefix prefix = {};  // as in the forward pass; its `out` is not read
  AttentionPrefixGradients prefix_gradients = {};
};

void attention_backward(const Context& context, const AttentionBackwardArgs& args);

}  // namespace zeroth
