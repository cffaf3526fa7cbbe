#include "rl/prompt_lengths.h"

#include "system/error.h"

namespace zeroth {

void check_prompt_lengths(const std::string& source, std::span<const Problem> problems,
                          const PromptTemplate& prompt_template, const Tokenizer& tokenizer,
                          const ModelConfig& model, std::int64_t max_completion_length) {
  if (max_completion_length >= model.max_position_embeddings) {
    throw InputError({.source = "configuration",
                      .field = "max_completion_length",
                      .expected = "less than max_position_embeddings (" +
                                  std::to_string(model.max_position_embeddings) + ")",
                      .actual = std::to_string(max_completion_length)});
  }
  for (const Problem& problem : problems) {
    const auto prompt =
        static_cast<std::int64_t>(tokenizer.encode(prompt_template.render(problem)).size());
    if (prompt >= 1 && prompt + max_completion_length <= model.max_position_embeddings) continue;
    throw InputError(
        {.source = source,
         .field = problem.id,
         .expected = "a prompt of 1 to " +
                     std::to_string(model.max_position_embeddings - max_completion_length) +
                     " tokens, to leave max_completion_length (" +
                     std::to_string(max_completion_length) + ") of max_position_embeddings (" +
                     std::to_string(model.max_position_embeddings) + ")",
         .actual = std::to_string(prompt)});
  }
}

}  // namespace zeroth
