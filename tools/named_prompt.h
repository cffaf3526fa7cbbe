// The prompt template that a recipe names: one of tools/prompts/, which are compiled in, or a file.
#pragma once

#include <string>

#include "policy/prompt_template.h"

namespace zeroth {

/// `name` is "plain", "r1_zero", or the path of a text file with {question}. Throws InputError.
PromptTemplate named_prompt(const std::string& name);

}  // namespace zeroth
