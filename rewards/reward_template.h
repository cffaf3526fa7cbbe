// The files of a reward of one's own to begin with: the examples, under another name.
#pragma once

#include <string>
#include <vector>

namespace zeroth {

struct TemplateFile {
  std::string name;
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
RewardTemplate reward_template(const std::string& name, const std::string& language);

}  // namespace zeroth
