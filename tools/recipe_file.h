// A TOML recipe: its keys stored into the fields of a configuration.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/options.h"

namespace zeroth {

/// Stores every key of `file` into its field. Returns key → "recipe.toml:12" for those that were
/// there. Throws InputError with file and line for a file that cannot be read, broken TOML, an
/// unknown key (naming the nearest) and a value of the wrong type.
std::map<std::string, std::string> apply_recipe(const std::filesystem::path& file,
                                                const std::vector<Field>& fields);

/// The text of one key of `file`; empty where it is absent or no text.
std::string recipe_text(const std::filesystem::path& file, std::string_view key);

}  // namespace zeroth
