// A completion after a line that orders the rules: what is found is no longer than it, and a box
// stands within it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string_view>

#include "rewards/answers/answer_extraction.h"
#include "system/error.h"

namespace {

using namespace zeroth;

ExtractionConfig config_of(std::string_view line) {
  try {
    return parse_extraction(line);
  } catch (const InputError&) {
    return parse_extraction("tag,boxed,hashes,phrase,choice,number");
  }
}

void check_within(std::string_view found, std::string_view text) {
  const std::less_equal<const char*> at_most;
  const bool within = at_most(text.data(), found.data()) &&
                      at_most(found.data() + found.size(), text.data() + text.size());
  if (!within) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const std::string_view completion = line == std::string_view::npos ? text : text.substr(line + 1);
  const ExtractionConfig config = config_of(text.substr(0, line));
  if (const std::optional<Extraction> found = extract_answer(completion, config)) {
    // Parts of it, joined: shorter than the marks around them.
    if (found->text.size() > completion.size()) std::abort();
    if (found->text.empty() || trimmed(found->text) != found->text) std::abort();
  }
  if (const auto box = last_boxed(completion)) check_within(*box, completion);
  return 0;
}
