#include "tools/reward_config.h"

#include <algorithm>

#include "system/error.h"
#include "system/json.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

constexpr const char* kSource = "reward_config";

JsonReader parse_or_read(const std::string& config) {
  if (config.find_first_not_of(" \t\r\n") == config.find('{'))
    return JsonReader::parse(config, kSource);
  if (config.ends_with(".json")) return JsonReader::read(config);
  throw InputError({.source = kSource,
                    .field = "",
                    .expected = "a JSON object, or a file whose name ends in .json",
                    .actual = config});
}

// 1e999 can be read and not be written.
void check_finite(const JsonReader& json) {
  if (json.value().is_double()) json.as_double();
  if (json.value().is_object())
    for (const std::string& key : json.keys()) check_finite(json.child(key));
  if (json.value().is_array())
    for (const JsonReader& element : json.elements()) check_finite(element);
}

}  // namespace

std::string read_reward_config(const std::string& config) {
  if (config.empty()) return "";
  const JsonReader json = parse_or_read(config);
  const std::vector<std::string> words = json.keys();
  for (const std::string& word : words) {
    if (!json.child(word).value().is_object()) json.fail(word, "an object of parameters");
  }
  check_finite(json);
  return words.empty() ? "" : write_json(json.value());
}

void check_reward_words(const std::string& config, std::span<const std::string> reward_funcs) {
  if (config.empty()) return;
  for (const std::string& word : JsonReader::parse(config, kSource).keys()) {
    if (std::find(reward_funcs.begin(), reward_funcs.end(), word) != reward_funcs.end()) continue;
    throw InputError(
        {.source = kSource,
         .field = "",
         .expected = "words of reward_funcs; nearest is " + nearest_name(word, reward_funcs),
         .actual = word});
  }
}

std::string parameters_of(const std::string& config, const std::string& word) {
  if (config.empty()) return "{}";
  const JsonReader json = JsonReader::parse(config, kSource);
  return json.has(word) ? write_json(json.child(word).value()) : "{}";
}

}  // namespace zeroth
