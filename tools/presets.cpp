#include "tools/presets.h"

#include <boost/json/parse.hpp>
#include <filesystem>
#include <string_view>

#include "system/error.h"
#include "system/json.h"
#include "system/nearest_name.h"
#include "tools/preset_table.h"

namespace zeroth {
namespace {

const Preset* find_preset(std::string_view name) {
  for (const Preset& preset : presets()) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

[[noreturn]] void throw_unknown(const std::string& name) {
  const std::vector<std::string> names = preset_names();
  std::string all;
  for (const std::string& one : names) all += (all.empty() ? "" : ", ") + one;
  throw InputError(
      {.source = "--preset",
       .field = "",
       .expected = nearest_name(name, names) + ", another of " + all + ", or a config.json",
       .actual = "\"" + name + "\", which is neither"});
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.emplace_back(preset.name);
  return names;
}

boost::json::object preset_config(const std::string& name) {
  if (const Preset* preset = find_preset(name); preset != nullptr) {
    const JsonReader config = JsonReader::parse(preset->config, std::string(preset->name));
    return config.value().as_object();
  }
  if (!std::filesystem::is_regular_file(name)) throw_unknown(name);
  const JsonReader config = JsonReader::read(name);
  if (!config.value().is_object()) config.fail("a JSON object");
  return config.value().as_object();
}

bool is_published_preset(const std::string& name) {
  return find_preset(name) != nullptr && preset_config(name).contains("vocab_size");
}

}  // namespace zeroth
