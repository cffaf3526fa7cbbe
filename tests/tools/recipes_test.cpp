// Every recipe in tools/recipes is one that its command takes. A recipe is called
// <what>_<command>.toml; model, data and output directory are flags of the reader's own.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "rl/config.h"
#include "tools/distill_options.h"
#include "tools/options.h"

namespace zeroth {
namespace {

template <class Config>
ResolvedOptions resolve_recipe(const std::filesystem::path& recipe, const std::string& command,
                               const std::string& model = "--model_name_or_path=m") {
  std::vector<std::string> arguments = {command, "--config",         recipe.string(),
                                        model,   "--dataset_name=d", "--output_dir=o"};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  Config config;
  return resolve(static_cast<int>(argv.size()), argv.data(), config,
                 {.name = command, .summary = "", .positional = ""});
}

TEST_CASE("recipes: every one is taken by its command", "[tools]") {
  int num_recipes = 0;
  const auto directory = std::filesystem::path(ZEROTH_SOURCE_DIR) / "tools" / "recipes";
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".toml") continue;
    const std::string name = entry.path().stem().string();
    const std::string command = name.substr(name.rfind('_') + 1);
    INFO(name);
    ResolvedOptions options;
    if (command == "sft") {
      options = resolve_recipe<SftConfig>(entry.path(), command);
    } else if (command == "grpo") {
      options = resolve_recipe<GrpoConfig>(entry.path(), command);
    } else if (command == "distill") {
      options =
          resolve_recipe<DistillOptions>(entry.path(), command, "--teacher_model_name_or_path=m");
    } else {
      FAIL("no command " << command);
    }
    CHECK(std::any_of(options.settings.begin(), options.settings.end(), [](const Setting& setting) {
      return setting.origin.find(".toml:") != std::string::npos;
    }));
    ++num_recipes;
  }
  CHECK(num_recipes >= 3);
}

}  // namespace
}  // namespace zeroth
