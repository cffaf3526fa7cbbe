// Batches of whole sequences for tests of the decoder: a prompt shared by completions, or sequences on their own.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/decoder.h"

namespace zeroth::test {

/// Appends one sequence as a member of its own group, its cache rows from `first_row` on.
inline void append_sequence(ForwardBatch& batch, const std::vector<std::int32_t>& tokens, std::int64_t first_row) {
  const auto n = static_cast<std::int64_t>(tokens.size());
  if (batch.segments.empty()) batch.segments.push_back(0);
  batch.groups.push_back({.first_run = 0,
                          .num_runs = 0,
                          .prefix_length = 0,
                          .first_member = static_cast<std::int64_t>(batch.members.size()),
                          .num_members = 1});
  batch.members.push_back({.first_query = batch.size(),
                           .num_queries = n,
                           .first_run = static_cast<std::int64_t>(batch.runs.size()),
                           .num_runs = 1,
                           .own_before = 0});
  batch.runs.push_back({.row = first_row, .count = n});
  for (std::int64_t i = 0; i < n; ++i) {
    batch.tokens.push_back(tokens[static_cast<std::size_t>(i)]);
    batch.positions.push_back(static_cast<std::int32_t>(i));
    batch.cache_rows.push_back(first_row + i);
  }
  batch.segments.push_back(batch.size());
}

}  // namespace zeroth::test
