// What the build makes of tools/presets/*.json.
#pragma once

#include <span>
#include <string_view>

namespace zeroth {

struct Preset {
  std::string_view name;    // of the file
  std::string_view config;  // its text
};

/// Sorted by name.
std::span<const Preset> presets();

}  // namespace zeroth
