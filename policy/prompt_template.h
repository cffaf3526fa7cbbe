// How a question becomes the prompt of a base model: a plain text with one `{question}` in it. Chat
// templates are another thing (policy/chat_template.h): the prompts that they make, problems bring.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "datasets/problem.h"

namespace zeroth {

class PromptTemplate {
 public:
  /// Reads a template file; the newline that ends the file is not part of the template. InputError
  /// for a file that cannot be read, is not UTF-8, or does not hold `{question}` exactly once.
  static PromptTemplate load(const std::filesystem::path& file);

  /// The same from text, taken whole; `source` names it in errors.
  static PromptTemplate from_text(std::string_view text, const std::string& source);

  /// The template with `question` in its place, byte for byte; braces in the question mean nothing.
  std::string render(std::string_view question) const;
  /// The problem's own prompt, or the template with its question.
  std::string render(const Problem& problem) const;

  /// The template as text, placeholder included.
  std::string text() const;

 private:
  PromptTemplate(std::string before, std::string after);
  std::string before_, after_;
};

}  // namespace zeroth
