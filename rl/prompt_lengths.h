// Whether a data set's prompts leave a model room to answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "datasets/problem.h"
#include "policy/model_config.h"
#include "policy/prompt_template.h"
#include "policy/tokenizer.h"

namespace zeroth {

/// InputError with `source` and the problem for a prompt that is empty, or that with
/// max_completion_length is longer than max_position_embeddings.
void check_prompt_lengths(const std::string& source, std::span<const Problem> problems,
                          const PromptTemplate& prompt_template, const Tokenizer& tokenizer,
                          const ModelConfig& model, std::int64_t max_completion_length);

}  // namespace zeroth
