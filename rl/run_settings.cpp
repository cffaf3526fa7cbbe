#include "rl/run_settings.h"

#include <algorithm>

#include "system/file.h"

namespace zeroth {
namespace {

// Length first, so that no two lists of texts become the same bytes.
void append_text(std::string& out, const std::string& text) {
  out += std::to_string(text.size()) + ":" + text;
}

const std::string* value_of(const RunSettings& settings, const std::string& key) {
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [&](const auto& setting) { return setting.first == key; });
  return found == settings.end() ? nullptr : &found->second;
}

}  // namespace

std::string settings_text(const RunSettings& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += key + "=" + value + "\n";
  return text;
}

std::string data_sha256(const std::vector<Problem>& problems,
                        const PromptTemplate& prompt_template) {
  std::string hashes;
  for (const Problem& problem : problems) {
    std::string text;
    append_text(text, prompt_template.render(problem.question));
    append_text(text, problem.answer);
    append_text(text, problem.solution);
    append_text(text, problem.columns_json);
    hashes += sha256(text);
  }
  return sha256_hex(hashes);
}

std::string model_sha256(const ModelConfig& config, const Weights& weights) {
  return sha256_hex(sha256(config.hf_json) + sha256_hex(std::as_bytes(weights.values())));
}

std::optional<SettingsDifference> first_difference(const RunSettings& expected,
                                                   const RunSettings& actual) {
  for (const auto& [key, value] : expected) {
    const std::string* other = value_of(actual, key);
    if (other == nullptr) return SettingsDifference{key, value, "nothing"};
    if (*other != value) return SettingsDifference{key, value, *other};
  }
  for (const auto& [key, value] : actual) {
    if (value_of(expected, key) == nullptr) return SettingsDifference{key, "nothing", value};
  }
  return std::nullopt;
}

}  // namespace zeroth
