// Which of llama.cpp's pre-tokenizers cuts a text as a tokenizer.json does. llama.cpp has them
// compiled in, under names (tokenizer.ggml.pre); a file cannot bring an expression of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/pre_tokenizer.h"

namespace zeroth {

/// The expressions that cut the text one after the other; nothing for steps that are no such cuts.
std::optional<std::vector<std::string>> cutting_expressions(const PreTokenizer& pre_tokenizer);

/// The name for `expressions`; empty where there is none. `ignore_merges` has to be what the name
/// brings along; `architecture` chooses between names of one and the same.
std::string_view pre_tokenizer_name(const std::vector<std::string>& expressions, bool ignore_merges,
                                    std::string_view architecture);

/// "gpt-2, qwen2, …" for errors.
std::string known_pre_tokenizers();

}  // namespace zeroth
