// The fingerprint of a training run's numerics: what rollouts compute (rollout/numerics.h), the
// gradient and the optimizer's step on the same tiny models, and a distillation loss. A checkpoint
// goes on only under the fingerprint it was made with.
#pragma once

#include <string>

#include "kernels/context.h"
#include "policy/packed_policy.h"

namespace zeroth {

/// rollout_numerics(), "-" and 16 hexadecimal digits of the SHA-256 of gradients, of weights after
/// a step of AdamW and of forward_kl(). Takes milliseconds.
std::string training_numerics(const Context& context, Dtype dtype);

}  // namespace zeroth
