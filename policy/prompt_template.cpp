#include "policy/prompt_template.h"

#include <utility>

#include "policy/byte_level.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

constexpr std::string_view kPlaceholder = "{question}";

}  // namespace

PromptTemplate::PromptTemplate(std::string before, std::string after)
    : before_(std::move(before)), after_(std::move(after)) {}

PromptTemplate PromptTemplate::load(const std::filesystem::path& file) {
  std::string text = read_file(file);
  if (text.ends_with("\r\n")) text.pop_back();
  if (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return from_text(text, file.string());
}

PromptTemplate PromptTemplate::from_text(std::string_view text, const std::string& source) {
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw InputError({.source = source,
                      .field = "byte " + std::to_string(invalid),
                      .expected = "UTF-8 text",
                      .actual = "a byte that is not"});
  }
  const std::size_t at = text.find(kPlaceholder);
  const bool twice =
      at != std::string_view::npos && text.find(kPlaceholder, at + 1) != std::string_view::npos;
  if (at == std::string_view::npos || twice) {
    throw InputError({.source = source,
                      .field = std::string(kPlaceholder),
                      .expected = "exactly one",
                      .actual = twice ? "more than one" : "none"});
  }
  return {std::string(text.substr(0, at)), std::string(text.substr(at + kPlaceholder.size()))};
}

std::string PromptTemplate::render(std::string_view question) const {
  return before_ + std::string(question) + after_;
}

std::string PromptTemplate::render(const Problem& problem) const {
  return problem.prompt.empty() ? render(problem.question) : problem.prompt;
}

std::string PromptTemplate::text() const {
  return render(kPlaceholder);
}

}  // namespace zeroth
