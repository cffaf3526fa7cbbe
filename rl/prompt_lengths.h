// Whether a data set's prompts leave room for completions in a model's context.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "datasets/problem.h"
#include "policy/model_config.h"
#include "policy/prompt_template.h"
#include "policy/tokenizer.h"

namespace zeroth {

/// InputError for a `max_completion_length` that leaves no prompt, or naming `source` and the first
/// problem whose prompt is empty or leaves fewer than `max_completion_length` tokens of
/// max_position_embeddings.
void check_prompt_lengths(const std::string& source, std::span<const Problem> problems,
                          const PromptTemplate& prompt_template, const Tokenizer& tokenizer,
                          const ModelConfig& model, std::int64_t max_completion_length);

}  // namespace zeroth
