// The fingerprint of a machine's numerics: a hash of what it makes of two fixed tiny models. Who
// shares the fingerprint computes the same bits (as far as a probe can tell); who does not must not
// sample for a learner, nor go on with its run. Instruction sets share it, since their bits are the
// same (docs/numerics.md); another build's kernels, another mathematics library or a broken
// processor do not.
#pragma once

#include <string>
#include <vector>

#include "kernels/context.h"
#include "policy/packed_policy.h"

namespace zeroth {

/// The probe's models: latent attention with experts, prompts absorbed and expanded, and grouped
/// queries. Their widths fill no vector register evenly.
std::vector<ModelConfig> numerics_probe_models();

/// "float32-" or "bfloat16-" and 16 hexadecimal digits of the SHA-256 of a few completions of the
/// probe's models: tokens, log-probs, experts. Takes milliseconds.
std::string rollout_numerics(const Context& context, Dtype dtype);

}  // namespace zeroth
