// The files of a reward of one's own to begin with: the examples, under another name.
#pragma once

#include <string>
#include <vector>

namespace zeroth {

struct TemplateFile {
  std::string name;  // relative to the reward's directory
  std::string text;
};

/// A reward that works as it is. `language` is cpp, c or python (std::invalid_argument otherwise).
/// InputError for a name that is not of lower-case letters, digits and _ with a letter in front, or
/// that is a reward of the registry or a word of the language.
struct RewardTemplate {
  std::vector<TemplateFile> files;
  std::string build;         // command in the directory of the files; empty where none is needed
  std::string reward_funcs;  // how the built reward is named there
};
/// The first file is the rule, the second has completions with the scores that it gives them.
RewardTemplate reward_template(const std::string& name, const std::string& language);

/// The command that compiles a plugin, a .c or .cpp file, in its directory.
std::string plugin_build_command(const std::string& source, const std::string& output);

}  // namespace zeroth
