// A group as bytes: what the journal stores and a worker sends.
//
//   u32 completions, u32 prompt_experts n, u16[n],
//   then a completion: i64 policy_version, u8 flags, u32 tokens n, i32[n] tokens, f32[n] logprobs,
//   f32[n] sampling_logprobs where the flags say so, u32 experts m, u16[m]
//   flags: bit 0 stop_reason (0 end_of_sequence, 1 length), bit 1 sampling_logprobs
//
// Little-endian, nothing between the fields. Floats travel as their bits, so a group that is read
// is the group that was written. Non-goals: a checksum, a length, a version: the container (a
// journal's record, a worker's answer) has them.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "rollout/engine.h"

namespace zeroth {

/// Appends the record of `group` to `out`.
void append_group_record(std::string& out, const Group& group);

/// Reads the record at the beginning of `bytes` and drops it from them. Nothing is allocated that
/// the bytes do not hold. InputError with `source` and the field for bytes that end too early,
/// flags that are none, or a completion without a token.
Group read_group_record(std::span<const std::byte>& bytes, const std::string& source);

}  // namespace zeroth
