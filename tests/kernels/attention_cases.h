// Batches of queries for the tests of attention: who attends to what is said once, and laid out in
// a cache in many ways.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.h"
#include "kernels/context.h"

namespace zeroth::testing {

struct MemberSpec {
  std::int64_t own_before = 0;
  std::int64_t num_queries = 0;
};
struct GroupSpec {
  std::int64_t prefix_length = 0;
  std::vector<MemberSpec> members;
};

/// Grouped-query attention: H query heads, Hkv kv heads, K and V side by side, and two floats that
/// belong to nobody.
AttentionShape gqa_shape(std::int64_t H, std::int64_t Hkv, std::int64_t Dk, std::int64_t Dv);

/// One latent row for all heads; its first Dv floats are V.
AttentionShape latent_shape(std::int64_t H, std::int64_t Dk, std::int64_t Dv);

/// A batch whose keys lie in pages of `page` rows (0: one run for each sequence), the pages in
/// descending order of address, with a row of NaN between any two. The values of keys and queries
/// do not depend on the page size.
class AttentionBatch {
 public:
  AttentionBatch(const AttentionShape& shape, const std::vector<GroupSpec>& groups,
                 std::int64_t page);

  /// The same with every member a group of its own, whose runs begin with those of the prefix.
  AttentionBatch without_sharing() const;
  /// The same with every member's queries in members of at most `chunk` queries each, of groups of
  /// their own; what one call computed, several now do.
  AttentionBatch in_chunks(std::int64_t chunk) const;
  /// The batch of one member alone, in the same cache.
  AttentionBatch only(std::int64_t group, std::int64_t member) const;

  AttentionLayout layout() const;
  std::int64_t num_queries() const;

  std::vector<float> forward(const Context& context, bool round_bf16 = false) const;  // out
  /// dq, then dcache: `dcache` is what the gradient is added to.
  struct Gradients {
    std::vector<float> dq, dcache;
  };
  Gradients backward(const Context& context, std::vector<float> dcache) const;
  /// Zeros where a key lies, NaN where nothing may be read or written.
  std::vector<float> empty_gradient() const;

  AttentionShape shape;
  std::vector<float> q;  // [T, H, Dk]
  std::vector<float> cache;
  std::vector<float> dout;  // [T, H, Dv]
  std::vector<AttentionGroup> groups;
  std::vector<AttentionMember> members;
  std::vector<KeyRun> runs;

 private:
  void append_keys(std::int64_t count, std::int64_t page, std::int64_t* first_run,
                   std::int64_t* num_runs);
  void place_keys();
};

}  // namespace zeroth::testing
