#include "rl/run_settings.h"

#include <algorithm>

#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

// Length first, so that no two lists of texts become the same bytes.
void append_text(std::string& out, const std::string& text) {
  out += std::to_string(text.size()) + ":" + text;
}

// What append_text made of keys and values.
RunSettings read_texts(std::string_view bytes) {
  const auto take = [&] {
    const std::size_t colon = bytes.find(':');
    const std::size_t size = std::stoul(std::string(bytes.substr(0, colon)));
    const std::string text(bytes.substr(colon + 1, size));
    bytes.remove_prefix(colon + 1 + size);
    return text;
  };
  RunSettings settings;
  while (!bytes.empty()) {
    std::string key = take();
    settings.emplace_back(std::move(key), take());
  }
  return settings;
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

void check_same_settings(Collectives& ranks, const RunSettings& settings) {
  std::string own;
  for (const auto& [key, value] : settings) {
    append_text(own, key);
    append_text(own, value);
  }
  const std::vector<std::string> all = ranks.gather(own);
  const RunSettings first = read_texts(all[0]);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    const auto difference = first_difference(first, read_texts(all[rank]));
    if (!difference) continue;
    throw InputError({.source = "rank " + std::to_string(rank),
                      .field = difference->key,
                      .expected = difference->expected + ", as rank 0 has it",
                      .actual = difference->actual});
  }
}

std::string data_sha256(const std::vector<Problem>& problems,
                        const PromptTemplate& prompt_template) {
  std::string hashes;
  for (const Problem& problem : problems) {
    std::string text;
    append_text(text, prompt_template.render(problem));
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
