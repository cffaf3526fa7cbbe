#include "tools/quickstart_settings.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <string>

#include "rl/run_settings.h"
#include "system/error.h"
#include "system/file.h"

namespace zeroth {
namespace {

// What the phases are a function of. The student's stages and the control look after themselves.
RunSettings settings_of(QuickstartConfig config) {
  config.control = false;
  RunSettings settings = run_settings(config);
  std::erase_if(settings, [](const auto& setting) {
    return setting.first == "student_steps" || setting.first == "num_student_problems";
  });
  return settings;
}

// A line "key=value" each.
std::map<std::string, std::string> read_settings(const std::filesystem::path& file) {
  std::map<std::string, std::string> settings;
  std::istringstream lines(read_file(file));
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    ++number;
    if (equals == std::string::npos) {
      throw InputError({.source = file.string() + ":" + std::to_string(number),
                        .field = "",
                        .expected = "key=value",
                        .actual = line});
    }
    settings[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return settings;
}

}  // namespace

void check(const QuickstartConfig& config) {
  const auto positive = [](const char* key, std::int64_t value, std::int64_t least) {
    if (value >= least) return;
    throw InputError({.source = "quickstart",
                      .field = key,
                      .expected = "at least " + std::to_string(least),
                      .actual = std::to_string(value)});
  };
  positive("seed", config.seed, 0);
  positive("max_steps", config.max_steps, 1);
  positive("num_generations", config.num_generations, 2);
  positive("num_prompts_per_step", config.num_prompts_per_step, 1);
  positive("num_eval_generations", config.num_eval_generations, 1);
  positive("num_student_problems", config.num_student_problems, 1);
  positive("student_steps", config.student_steps, 0);
}

QuickstartConfig smoke_sizes(QuickstartConfig config) {
  const auto at_most = [](std::int64_t& size, std::int64_t most) { size = std::min(size, most); };
  at_most(config.max_steps, 2);
  at_most(config.num_generations, 4);
  at_most(config.num_prompts_per_step, 2);
  at_most(config.num_eval_generations, 2);
  at_most(config.num_student_problems, 20);
  at_most(config.student_steps, 4);
  return config;
}

void check_same_settings(const std::filesystem::path& file, const QuickstartConfig& config) {
  const RunSettings now = settings_of(config);
  if (!std::filesystem::exists(file)) {
    write_file_atomically(file, settings_text(now));
    return;
  }
  const auto refuse = [&](const std::string& key, const std::string& before,
                          const std::string& actual) {
    throw InputError({.source = file.string(),
                      .field = key,
                      .expected = before + ", with which this directory was begun (another "
                                           "output_dir begins anew)",
                      .actual = actual});
  };
  std::map<std::string, std::string> before = read_settings(file);
  // A key that is younger than the directory was as it is by default.
  for (const auto& [key, value] : settings_of({})) before.emplace(key, value);
  for (const auto& [key, value] : now) {
    if (before.at(key) != value) refuse(key, before.at(key), value);
    before.erase(key);
  }
  if (!before.empty())
    refuse(before.begin()->first, before.begin()->second, "a program without such a key");
}

}  // namespace zeroth
