// The files of a reward of one's own to begin with: the examples, under another name.
#pragma once

#include <string>
#include <vector>

namespace zeroth {

struct TemplateFile {
  std::string name;  // relative to the reward's directory
  std::string text;
  bool is_program = false;  // may be executed
};

/// A reward that works as it is. `language` is cpp, c, python or exec (std::invalid_argument
/// otherwise). InputError for a name that is not of lower-case letters, digits and _ with a letter
/// in front, or that is a reward of the registry or a word of the language.
struct RewardTemplate {
  std::vector<TemplateFile> files;
  bool is_built = false;     // by `zeroth reward build`, before it is
  std::string reward_funcs;  // how the built reward is named there
};
/// The first file is the rule, the second has completions with the scores that it gives them.
RewardTemplate reward_template(const std::string& name, const std::string& language);

/// The command that compiles the plugin `source`, a .c or .cpp file, to a .so file beside it.
std::vector<std::string> plugin_build_command(const std::string& source);

}  // namespace zeroth
