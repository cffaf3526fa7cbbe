// What every engine asks of its requests before it samples.
#pragma once

#include <span>

#include "policy/model_config.h"
#include "rollout/engine.h"

namespace zeroth {

/// std::invalid_argument for what a policy of `config` cannot take: an empty prompt, a token
/// outside the vocabulary, no completions, a max_new_tokens below 1, more tokens than
/// max_position_embeddings, a temperature or a truncation that Sampler refuses.
void check_requests(std::span<const GenerateRequest> requests, const SamplingParams& sampling,
                    const ModelConfig& config);

}  // namespace zeroth
