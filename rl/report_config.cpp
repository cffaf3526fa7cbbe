#include "rl/report_config.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <iterator>
#include <sstream>
#include <utility>

#include "rl/checkpoint.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view kProvenance[] = {"numerics", "model_sha256", "data_sha256", "num_ranks"};

// config.toml as a run saves it: a line "key = value  # origin" each, or "# key is not set  # …".
std::vector<ConfigLine> read_config_lines(const fs::path& file) {
  constexpr std::string_view kNotSet = " is not set";
  std::vector<ConfigLine> config;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t comment = line.rfind("  # ");
    if (comment == std::string::npos) continue;
    const std::string origin = line.substr(comment + 4);
    const std::string setting = line.substr(0, comment);
    const std::size_t equals = setting.find(" = ");
    if (setting.starts_with("# ") && setting.ends_with(kNotSet)) {
      config.push_back({setting.substr(2, setting.size() - 2 - kNotSet.size()), "not set", origin});
    } else if (equals != std::string::npos) {
      config.push_back({setting.substr(0, equals), setting.substr(equals + 3), origin});
    }
  }
  return config;
}

// settings.txt of a quickstart: a line "key=value" each.
std::vector<ConfigLine> read_settings_lines(const fs::path& file) {
  std::vector<ConfigLine> config;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos)
      config.push_back({line.substr(0, equals), line.substr(equals + 1), "settings.txt"});
  }
  return config;
}

// The program that began the run: the first line of its config.toml.
std::string program_of(const fs::path& directory) {
  if (!fs::exists(directory / "config.toml")) return "";
  const std::string text = read_file(directory / "config.toml");
  const std::string line = text.substr(0, text.find('\n'));
  return line.starts_with("# zeroth ") ? line.substr(2) : "";
}

const std::string* value_of(const std::vector<ConfigLine>& config, std::string_view key) {
  const auto found = std::find_if(config.begin(), config.end(),
                                  [&](const ConfigLine& line) { return line.key == key; });
  return found == config.end() ? nullptr : &found->value;
}

}  // namespace

std::optional<NewestCheckpoint> newest_checkpoint(const fs::path& directory) {
  for (const std::int64_t step : checkpoint_steps(directory)) {
    const fs::path checkpoint = directory / ("checkpoint-" + std::to_string(step));
    try {
      return NewestCheckpoint{checkpoint, read_trainer_state(checkpoint)};
    } catch (const InputError&) {
    }
  }
  return std::nullopt;
}

std::vector<ConfigLine> config_of(const fs::path& directory,
                                  const std::optional<NewestCheckpoint>& newest,
                                  const fs::path& quickstart) {
  if (fs::exists(directory / "config.toml")) {
    std::vector<ConfigLine> config = read_config_lines(directory / "config.toml");
    if (!fs::exists(directory / "config-resumed.toml")) return config;
    // What a resume may change, it may change silently: say so.
    for (ConfigLine& now : read_config_lines(directory / "config-resumed.toml")) {
      const auto before = std::find_if(config.begin(), config.end(),
                                       [&](const ConfigLine& line) { return line.key == now.key; });
      if (before == config.end() || before->value == now.value) continue;
      now.origin += "; " + before->value + " before it was resumed";
      *before = std::move(now);
    }
    return config;
  }
  std::vector<ConfigLine> config;
  if (newest) {
    for (const auto& [key, value] : newest->state.settings) {
      const bool is_provenance =
          std::find(std::begin(kProvenance), std::end(kProvenance), key) != std::end(kProvenance);
      if (!is_provenance) config.push_back({key, value, "trainer_state.json"});
    }
  } else if (!quickstart.empty() && fs::exists(quickstart / "settings.txt")) {
    config = read_settings_lines(quickstart / "settings.txt");
  }
  return config;
}

json::value max_steps_of(const std::vector<ConfigLine>& config) {
  const std::string* value = value_of(config, "max_steps");
  if (value == nullptr || value->find_first_not_of("0123456789") != std::string::npos)
    return nullptr;
  return value->empty() || value->size() > 18 ? json::value(nullptr)
                                              : json::value(std::stoll(*value));
}

json::object provenance_of(const fs::path& directory, const std::optional<NewestCheckpoint>& newest,
                           const std::vector<ConfigLine>& config, const fs::path& quickstart) {
  json::object provenance;
  if (newest) {
    provenance["seed"] = std::to_string(newest->state.seed);
    for (const std::string_view key : kProvenance) {
      for (const auto& [name, value] : newest->state.settings) {
        if (name == key) provenance[key] = value;
      }
    }
  } else if (const std::string* seed = value_of(config, "seed")) {
    provenance["seed"] = *seed;
  }
  if (const std::string program = program_of(directory); !program.empty())
    provenance["program"] = program;
  if (!quickstart.empty() && fs::exists(quickstart / "summary.json")) {
    const JsonReader summary = JsonReader::read(quickstart / "summary.json");
    for (const char* key : {"program", "computed_with"}) {
      if (summary.has(key)) provenance[key] = summary.get_string(key);
    }
  }
  return provenance;
}

}  // namespace zeroth
